//! The rules a Dockerfile is checked by: BuildKit's, under BuildKit's names.

use crate::error::Span;

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// The style or habit that it asks for.
    pub description: &'static str,
    /// The last part of the address of its documentation; empty if it has none.
    page: &'static str,
    /// Whether it is only applied when asked for.
    pub experimental: bool,
}

/// Something a rule objects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The rule.
    pub rule: &'static Rule,
    /// The sentence for this place.
    pub message: String,
    /// Where.
    pub span: Span,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = crate::quote::printable(&self.message);
        write!(formatter, "{}: {message} (line {})", self.rule.name, self.span.first_line)
    }
}

impl Rule {
    const fn new(name: &'static str, page: &'static str, description: &'static str) -> Self {
        Rule { name, description, page, experimental: false }
    }

    /// Returns where the rule is explained.
    pub fn url(&self) -> Option<String> {
        (!self.page.is_empty()).then(|| format!("https://docs.docker.com/go/dockerfile/rule/{}/", self.page))
    }

    /// Tells whether it tells of something slipway leaves aside, which is not the Dockerfile's fault.
    pub fn is_note(&self) -> bool {
        [SYNTAX_NOT_FOLLOWED, ARGUMENT_NOT_FOLLOWED].contains(self)
    }
}

/// DF-280.
pub(crate) const STAGE_NAME_CASING: Rule =
    Rule::new("StageNameCasing", "stage-name-casing", "Stage names should be lowercase");
/// DF-281.
pub(crate) const FROM_AS_CASING: Rule =
    Rule::new("FromAsCasing", "from-as-casing", "The 'as' keyword should match the case of the 'from' keyword");
/// DF-282.
pub(crate) const NO_EMPTY_CONTINUATION: Rule = Rule::new(
    "NoEmptyContinuation",
    "no-empty-continuation",
    "Empty continuation lines will become errors in a future release",
);
/// DF-283.
pub(crate) const CONSISTENT_INSTRUCTION_CASING: Rule = Rule::new(
    "ConsistentInstructionCasing",
    "consistent-instruction-casing",
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
);
/// DF-284.
pub(crate) const DUPLICATE_STAGE_NAME: Rule =
    Rule::new("DuplicateStageName", "duplicate-stage-name", "Stage names should be unique");
/// DF-285.
pub(crate) const RESERVED_STAGE_NAME: Rule =
    Rule::new("ReservedStageName", "reserved-stage-name", "Reserved words should not be used as stage names");
/// DF-286.
pub(crate) const JSON_ARGS_RECOMMENDED: Rule = Rule::new(
    "JSONArgsRecommended",
    "json-args-recommended",
    "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
);
/// DF-287.
pub(crate) const MAINTAINER_DEPRECATED: Rule = Rule::new(
    "MaintainerDeprecated",
    "maintainer-deprecated",
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
);
/// DF-288.
pub(crate) const UNDEFINED_ARG_IN_FROM: Rule =
    Rule::new("UndefinedArgInFrom", "undefined-arg-in-from", "FROM command must use declared ARGs");
/// DF-289.
pub(crate) const WORKDIR_RELATIVE_PATH: Rule = Rule::new(
    "WorkdirRelativePath",
    "workdir-relative-path",
    "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
);
/// DF-290.
pub(crate) const UNDEFINED_VAR: Rule =
    Rule::new("UndefinedVar", "undefined-var", "Variables should be defined before their use");
/// DF-291.
pub(crate) const MULTIPLE_INSTRUCTIONS_DISALLOWED: Rule = Rule::new(
    "MultipleInstructionsDisallowed",
    "multiple-instructions-disallowed",
    "Multiple instructions of the same type should not be used in the same stage",
);
/// DF-292.
pub(crate) const LEGACY_KEY_VALUE_FORMAT: Rule = Rule::new(
    "LegacyKeyValueFormat",
    "legacy-key-value-format",
    "Legacy key/value format with whitespace separator should not be used",
);
/// DF-293.
pub(crate) const INVALID_BASE_IMAGE_PLATFORM: Rule = Rule::new(
    "InvalidBaseImagePlatform",
    "invalid-base-image-platform",
    "Base image platform does not match expected target platform",
);
/// DF-294.
pub(crate) const REDUNDANT_TARGET_PLATFORM: Rule = Rule::new(
    "RedundantTargetPlatform",
    "redundant-target-platform",
    "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
);
/// DF-295.
pub(crate) const SECRETS_USED_IN_ARG_OR_ENV: Rule = Rule::new(
    "SecretsUsedInArgOrEnv",
    "secrets-used-in-arg-or-env",
    "Sensitive data should not be used in the ARG or ENV commands",
);
/// DF-296.
pub(crate) const INVALID_DEFAULT_ARG_IN_FROM: Rule = Rule::new(
    "InvalidDefaultArgInFrom",
    "invalid-default-arg-in-from",
    "Default value for global ARG results in an empty or invalid base image name",
);
/// DF-297.
pub(crate) const FROM_PLATFORM_FLAG_CONST_DISALLOWED: Rule = Rule::new(
    "FromPlatformFlagConstDisallowed",
    "from-platform-flag-const-disallowed",
    "FROM --platform flag should not use a constant value",
);
/// DF-298.
pub(crate) const COPY_IGNORED_FILE: Rule =
    Rule::new("CopyIgnoredFile", "copy-ignored-file", "Attempting to Copy file that is excluded by .dockerignore");
/// DF-299.
pub(crate) const INVALID_DEFINITION_DESCRIPTION: Rule = Rule {
    experimental: true,
    ..Rule::new(
        "InvalidDefinitionDescription",
        "invalid-definition-description",
        "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    )
};
/// DF-300.
pub(crate) const EXPOSE_PROTO_CASING: Rule =
    Rule::new("ExposeProtoCasing", "expose-proto-casing", "Protocol in EXPOSE instruction should be lowercase");
/// DF-301.
pub(crate) const EXPOSE_INVALID_FORMAT: Rule = Rule::new(
    "ExposeInvalidFormat",
    "expose-invalid-format",
    "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
);
/// DF-016: slipway's own; a frontend that the file names is never run.
pub(crate) const SYNTAX_NOT_FOLLOWED: Rule =
    Rule::new("SyntaxNotFollowed", "", "A frontend named by the Dockerfile is never run: slipway reads it itself");
/// A note, too.
pub(crate) const ARGUMENT_NOT_FOLLOWED: Rule =
    Rule::new("ArgumentNotFollowed", "", "A build argument that only BuildKit's frontend follows has no effect");
