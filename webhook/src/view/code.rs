//! Codes of problems: one table of the text, the HTTP status, whether a request is worth repeating, and the meaning.

use axum::http::StatusCode;

/// Whether the same request may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Only a changed request, or a change on the server, helps.
    Never,
    /// The same request may succeed in a moment.
    Later,
}

macro_rules! codes {
    ($($code:ident, $text:literal, $status:ident, $retry:expr, $meaning:literal;)*) => {
        /// The stable code of a problem. `docs/api.md` is compared with this table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            /// All codes, by status.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// Returns the code as it is sent.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$code => $text,)*
                }
            }

            /// Returns the HTTP status of an answer with this code.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Code::$code => StatusCode::$status,)*
                }
            }

            /// Tells whether the same request may succeed later.
            pub fn retry(self) -> Retry {
                match self {
                    $(Code::$code => $retry,)*
                }
            }

            /// Returns what the code means, as the documentation says it.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Code::$code => $meaning,)*
                }
            }
        }
    };
}

codes! {
    BadJson, "bad_json", BAD_REQUEST, Retry::Never, "the body is not JSON, or does not have the expected shape";
    UnknownField, "unknown_field", BAD_REQUEST, Retry::Never, "the body has a key that does not exist";
    BadTrigger, "bad_trigger", BAD_REQUEST, Retry::Never, "a Docker Hub trigger names neither a tag nor a source";
    BodyIncomplete, "body_incomplete", BAD_REQUEST, Retry::Never, "the body ended before its announced length";
    AmbiguousRequest, "ambiguous_request", BAD_REQUEST, Retry::Never, "a length or header that proxies may read in different ways";
    DuplicateHeader, "duplicate_header", BAD_REQUEST, Retry::Never, "a header that says who sent what came twice";
    MissingHeader, "missing_header", BAD_REQUEST, Retry::Never, "a delivery lacks a header of its forge";
    MissingRef, "missing_ref", BAD_REQUEST, Retry::Never, "a commit was named without the ref it is built for";
    PullAlways, "pull_always", BAD_REQUEST, Retry::Never, "`pull: false`: base images are always resolved again";
    PathEscapesContext, "path_escapes_context", BAD_REQUEST, Retry::Never, "a path leads out of the repository";
    InvalidAgainst, "invalid_against", BAD_REQUEST, Retry::Never, "`against` is neither another build of the same repository nor `shadow`";
    InvalidBuildArgs, "invalid_build_args", BAD_REQUEST, Retry::Never, "a build argument or variable has an invalid name or value";
    InvalidCommit, "invalid_commit", BAD_REQUEST, Retry::Never, "not the hash of a commit";
    InvalidCursor, "invalid_cursor", BAD_REQUEST, Retry::Never, "a cursor that no list returned";
    InvalidHeader, "invalid_header", BAD_REQUEST, Retry::Never, "a header of a delivery is too long";
    InvalidIdempotencyKey, "invalid_idempotency_key", BAD_REQUEST, Retry::Never, "an `Idempotency-Key` is empty or too long";
    InvalidLimit, "invalid_limit", BAD_REQUEST, Retry::Never, "`limit` is out of range";
    InvalidPath, "invalid_path", BAD_REQUEST, Retry::Never, "a path of a Dockerfile or context is invalid";
    InvalidPlatforms, "invalid_platforms", BAD_REQUEST, Retry::Never, "a platform is unknown or listed twice";
    InvalidQuery, "invalid_query", BAD_REQUEST, Retry::Never, "a key or value of the query is unknown";
    InvalidReason, "invalid_reason", BAD_REQUEST, Retry::Never, "a reason is too long or has several lines";
    InvalidRef, "invalid_ref", BAD_REQUEST, Retry::Never, "not a valid name of a branch or tag";
    InvalidRepository, "invalid_repository", BAD_REQUEST, Retry::Never, "the document of a repository is invalid";
    InvalidRules, "invalid_rules", BAD_REQUEST, Retry::Never, "rules are invalid";
    InvalidSecret, "invalid_secret", BAD_REQUEST, Retry::Never, "the name or value of a secret is invalid";
    InvalidSecrets, "invalid_secrets", BAD_REQUEST, Retry::Never, "a trigger names secrets that the repository does not have";
    InvalidSince, "invalid_since", BAD_REQUEST, Retry::Never, "`since` is not a time";
    InvalidState, "invalid_state", BAD_REQUEST, Retry::Never, "not a state of a build";
    InvalidStatus, "invalid_status", BAD_REQUEST, Retry::Never, "not a status of a delivery";
    InvalidTag, "invalid_tag", BAD_REQUEST, Retry::Never, "not a tag that registries accept";
    InvalidTarget, "invalid_target", BAD_REQUEST, Retry::Never, "not a valid name of a stage";
    InvalidTimeout, "invalid_timeout", BAD_REQUEST, Retry::Never, "a timeout is not a duration";
    InvalidRight, "invalid_right", BAD_REQUEST, Retry::Never, "the pattern, actions or holder of a right in the registry are invalid";
    InvalidUser, "invalid_user", BAD_REQUEST, Retry::Never, "the name, password or end of an account of the registry is invalid";
    InvalidAccount, "invalid_account", BAD_REQUEST, Retry::Never, "the name or a right of an account is invalid, or it is not of this kind";
    InvalidToken, "invalid_token", BAD_REQUEST, Retry::Never, "the name, scope, repositories or end of a token is invalid";
    InvalidUrl, "invalid_url", BAD_REQUEST, Retry::Never, "a `clone_url` or a webhook's `url` is not a URL";
    InvalidWait, "invalid_wait", BAD_REQUEST, Retry::Never, "`wait` is not a number of seconds";
    AddressNotAllowed, "address_not_allowed", BAD_REQUEST, Retry::Never, "a `clone_url` or a webhook's `url` leads to a private address";
    SchemeNotAllowed, "scheme_not_allowed", BAD_REQUEST, Retry::Never, "a `clone_url` is none of http, https and ssh, or a webhook's `url` is neither http nor https";
    Unauthorized, "unauthorized", UNAUTHORIZED, Retry::Never, "the token is missing or unknown";
    BadSignature, "bad_signature", UNAUTHORIZED, Retry::Never, "the signature of a delivery is missing or wrong, or the repository is not built here";
    Forbidden, "forbidden", FORBIDDEN, Retry::Never, "the token lacks the scope";
    StaleForm, "stale_form", FORBIDDEN, Retry::Never, "a form of a page came without its proof, or from another session";
    CrossSite, "cross_site", FORBIDDEN, Retry::Never, "a browser sent the request from a page of another site";
    NotFound, "not_found", NOT_FOUND, Retry::Never, "nothing is served under this path";
    RepositoryNotFound, "repository_not_found", NOT_FOUND, Retry::Never, "the repository is not built here";
    BuildNotFound, "build_not_found", NOT_FOUND, Retry::Never, "there is no build with this id";
    DeliveryNotFound, "delivery_not_found", NOT_FOUND, Retry::Never, "there is no delivery with this id";
    SecretNotFound, "secret_not_found", NOT_FOUND, Retry::Never, "the repository has no secret with this name";
    KeyNotFound, "key_not_found", NOT_FOUND, Retry::Never, "the repository has no deploy key";
    UserNotFound, "user_not_found", NOT_FOUND, Retry::Never, "the registry has no account with this name";
    AccountNotFound, "account_not_found", NOT_FOUND, Retry::Never, "there is no account with this id";
    TokenNotFound, "token_not_found", NOT_FOUND, Retry::Never, "the caller has no token with this name";
    SessionNotFound, "session_not_found", NOT_FOUND, Retry::Never, "the caller has no session with this id";
    RightNotFound, "right_not_found", NOT_FOUND, Retry::Never, "the registry has no such right";
    WorkerNotFound, "worker_not_found", NOT_FOUND, Retry::Never, "no worker has this name";
    NoTrace, "no_trace", NOT_FOUND, Retry::Never, "no attempt at the build has ended yet";
    UnknownForge, "unknown_forge", NOT_FOUND, Retry::Never, "deliveries of this forge are not accepted";
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, Retry::Never, "the path does not accept this method";
    BodyTooSlow, "body_too_slow", REQUEST_TIMEOUT, Retry::Later, "the body did not arrive in time";
    DeliveryReused, "delivery_reused", CONFLICT, Retry::Never, "the id of a delivery came again with another body";
    NoRuleMatched, "no_rule_matched", CONFLICT, Retry::Never, "no rule builds what was asked for";
    RefNotFound, "ref_not_found", CONFLICT, Retry::Never, "the branch or tag does not exist";
    RulesUnreadable, "rules_unreadable", CONFLICT, Retry::Never, "the repository's own rules cannot be read";
    RulesInvalid, "rules_invalid", CONFLICT, Retry::Never, "the repository's own rules are invalid";
    DefinedInFile, "defined_in_file", CONFLICT, Retry::Never, "the repository is defined in the server's `slipway.toml`";
    RepositoryExists, "repository_exists", CONFLICT, Retry::Never, "a repository with this name exists already";
    UserExists, "user_exists", CONFLICT, Retry::Never, "an account or a configured user of the registry has this name already";
    AccountExists, "account_exists", CONFLICT, Retry::Never, "an account has this name already";
    TokenExists, "token_exists", CONFLICT, Retry::Never, "a token has, or had, this name";
    RightsOfForge, "rights_of_forge", CONFLICT, Retry::Never, "the account's rights are those that its forge says";
    DeviceWaiting, "device_waiting", CONFLICT, Retry::Later, "nobody has confirmed the login of the command line yet";
    Conflict, "conflict", CONFLICT, Retry::Later, "another change was faster";
    AlreadyFinished, "already_finished", CONFLICT, Retry::Never, "the build has ended";
    NotFinished, "not_finished", CONFLICT, Retry::Never, "the build has not ended";
    NotHeld, "not_held", CONFLICT, Retry::Never, "the build does not need an approval";
    NoImage, "no_image", CONFLICT, Retry::Never, "the build pushed no image that its tags could go back to";
    NotComparable, "not_comparable", CONFLICT, Retry::Never, "the builds can no longer be compared";
    TagNotRestored, "tag_not_restored", CONFLICT, Retry::Never, "the tag was not deleted, was set again, or its time is over";
    NoForge, "no_forge", CONFLICT, Retry::Never, "no forge is configured for the repository";
    ForgeHasApp, "forge_has_app", CONFLICT, Retry::Never, "the forge has an App, whose webhook delivers for its repositories";
    NoSecret, "no_secret", CONFLICT, Retry::Never, "the repository has no secret that deliveries could be signed with";
    ForgeRefused, "forge_refused", CONFLICT, Retry::Never, "the forge refused what it was asked for";
    HookNotFound, "hook_not_found", CONFLICT, Retry::Never, "the forge has no webhook that delivers to this server";
    NoRedelivery, "no_redelivery", CONFLICT, Retry::Never, "the forge's API sends no delivery again";
    BuildRemoved, "build_removed", GONE, Retry::Never, "`[retention]` removed the build with this number";
    LogRemoved, "log_removed", GONE, Retry::Never, "`[retention]` removed the log of the build";
    BodyRemoved, "body_removed", GONE, Retry::Never, "`[retention]` removed the body of the delivery to replay";
    DeviceGone, "device_gone", GONE, Retry::Never, "the login of the command line has ended, was refused, or was taken before";
    VersionMismatch, "version_mismatch", PRECONDITION_FAILED, Retry::Never, "the repository changed since this version of it was read";
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, Retry::Never, "the body is too large";
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, Retry::Never, "the body is compressed, or of a type that is not accepted";
    RangeNotSatisfiable, "range_not_satisfiable", RANGE_NOT_SATISFIABLE, Retry::Never, "the log is shorter than the range";
    IdempotencyKeyReused, "idempotency_key_reused", UNPROCESSABLE_ENTITY, Retry::Never, "the `Idempotency-Key` came before with another body";
    TooManyRequests, "too_many_requests", TOO_MANY_REQUESTS, Retry::Later, "too many failed requests came from this address";
    DatabaseUnavailable, "database_unavailable", SERVICE_UNAVAILABLE, Retry::Later, "the database cannot be used";
    WorkersCannotStart, "workers_cannot_start", SERVICE_UNAVAILABLE, Retry::Later, "the server's own workers cannot start; deliveries are stored all the same";
    ForgeUnavailable, "forge_unavailable", SERVICE_UNAVAILABLE, Retry::Later, "the forge does not answer, or not now";
    CannotStore, "cannot_store", SERVICE_UNAVAILABLE, Retry::Later, "the disk has no space for a long delivery";
    TooBusy, "too_busy", SERVICE_UNAVAILABLE, Retry::Later, "too many long deliveries arrive at once";
    NoWorker, "no_worker", SERVICE_UNAVAILABLE, Retry::Later, "no worker read the repository's own rules in time";
    NoAnswer, "no_answer", SERVICE_UNAVAILABLE, Retry::Later, "no worker answered within 20 s";
}
