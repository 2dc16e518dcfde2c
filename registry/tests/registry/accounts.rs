//! Accounts: logins, tokens and rights, as docker, containerd and scripts use them.

use crate::hub::{Answer, Hub, manifest};
use axum::body::Body;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use database::{ChangeFilter, Database, NewAccount, Right, hash_password};
use futures::FutureExt;
use registry::{Access, Accounts, ClientAddress, Settings, User};
use registry_client::Digest;

struct Guarded {
    hub: Hub,
    database: Database,
    _directory: tempfile::TempDir,
}

/// Returns a registry with the configured user `root` and the accounts `ada` (team/*), `reader` (pull) and `old` (ended).
async fn guarded() -> Guarded {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&format!("sqlite://{}/slipway.db", directory.path().display())).await.unwrap();
    let hash = hash_password("correct horse").unwrap();
    for (name, actions, expires_ms) in [("ada", "*", None), ("reader", "pull", None), ("old", "*", Some(1))] {
        let account = NewAccount { name: name.to_owned(), is_robot: false, password_hash: hash.clone(), expires_ms };
        assert!(database.add_account(&account, &[Right::new(name, "team/*", actions).unwrap()]).await.unwrap());
    }
    Guarded { hub: Hub::with(settings(&database, "of the file")), database, _directory: directory }
}

/// Returns settings with the configured user `root`.
fn settings(database: &Database, password: &str) -> Settings {
    let root = User { name: "root".to_owned(), password: password.to_owned() };
    let mut settings = Settings::new(Access::Accounts(Accounts::new(vec![root], database.clone())));
    settings.audit = Some(database.clone());
    settings
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

impl Guarded {
    async fn ask(&self, method: Method, path: &str, login: &str, body: &[u8]) -> Answer {
        let headers = [("authorization", login), ("host", "hub.example.com:5000")];
        self.hub.ask(method, path, if login.is_empty() { &headers[1..] } else { &headers[..] }, body).await
    }

    /// Returns the token that a login gets for a scope.
    async fn token(&self, login: &str, scope: &str) -> String {
        let answer = self.ask(Method::GET, &format!("token?service=x&scope={scope}"), login, b"").await;
        assert_eq!(answer.status, 200, "{:?}", String::from_utf8_lossy(&answer.body));
        format!("Bearer {}", answer.json()["token"].as_str().unwrap())
    }

    async fn push(&self, repository: &str, login: &str) -> u16 {
        let digest = Digest::of(b"{}");
        let blob = self.ask(Method::POST, &format!("{repository}/blobs/uploads/?digest={digest}"), login, b"{}").await;
        if blob.status != 201 {
            return blob.status;
        }
        let bytes = serde_json::to_vec(&manifest(&[])).unwrap();
        self.ask(Method::PUT, &format!("{repository}/manifests/1"), login, &bytes).await.status
    }

    async fn form(&self, form: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.hub.ask_at(Method::POST, "/v2/token", &headers, Body::from(form.to_owned())).await
    }
}

#[tokio::test]
async fn who_is_not_logged_in_is_told_where_and_for_what_to_get_a_token() {
    let it = guarded().await;
    for (method, path, scope) in [
        (Method::GET, "", ""),
        (Method::GET, "team/app/tags/list", "repository:team/app:pull"),
        (Method::POST, "team/app/blobs/uploads/", "repository:team/app:pull,push"),
        (Method::DELETE, "team/app/manifests/1", "repository:team/app:delete"),
    ] {
        let refused = it.ask(method, path, "", b"").await;
        assert_eq!((refused.status, refused.code().as_str()), (401, "UNAUTHORIZED"), "{path}");
        let mut challenge =
            "Bearer realm=\"http://hub.example.com:5000/v2/token\",service=\"hub.example.com:5000\"".to_owned();
        if !scope.is_empty() {
            challenge.push_str(&format!(",scope=\"{scope}\""));
        }
        assert_eq!(refused.header("www-authenticate"), challenge);
    }
    for login in [basic("ada", "wrong"), basic("nobody", "correct horse"), basic("old", "correct horse")] {
        assert_eq!(it.ask(Method::GET, "", &login, b"").await.status, 401, "{login}");
        assert_eq!(it.ask(Method::GET, "token", &login, b"").await.status, 401, "{login}");
    }
    for login in ["Basic %", "Bearer x.y", "Digest x", "Basic"] {
        assert_eq!(it.ask(Method::GET, "", login, b"").await.status, 401, "{login}");
    }
}

#[tokio::test]
async fn rights_hold_for_passwords_and_for_tokens_alike() {
    let it = guarded().await;
    for (name, password, repository, expected) in [
        ("root", "of the file", "any/where", 201),
        ("ada", "correct horse", "team/app", 201),
        ("ada", "correct horse", "other/app", 403),
        ("reader", "correct horse", "team/app", 403),
    ] {
        let login = basic(name, password);
        assert_eq!(it.ask(Method::GET, "", &login, b"").await.status, 200);
        assert_eq!(it.push(repository, &login).await, expected, "{name} {repository}");
        let token = it.token(&login, &format!("repository:{repository}:pull,push")).await;
        assert_eq!(it.push(repository, &token).await, expected, "{name} {repository}, by a token");
    }
    let reader = it.token(&basic("reader", "correct horse"), "repository:team/app:pull,push,delete").await;
    assert_eq!(it.ask(Method::GET, "team/app/manifests/1", &reader, b"").await.status, 200);
    let denied = it.ask(Method::DELETE, "team/app/manifests/1", &reader, b"").await;
    assert_eq!((denied.status, denied.code().as_str()), (403, "DENIED"));
    let narrow = it.token(&basic("ada", "correct horse"), "repository:team/app:pull").await;
    let other = it.ask(Method::DELETE, "team/app/manifests/1", &narrow, b"").await;
    assert_eq!(other.status, 401, "the account may, and its token is for something else");
    assert!(
        other
            .header("www-authenticate")
            .ends_with(",scope=\"repository:team/app:delete\",error=\"insufficient_scope\"")
    );
    let all = it.token(&basic("ada", "correct horse"), "repository:team/app:*").await;
    assert_eq!(it.ask(Method::DELETE, "team/app/manifests/1", &all, b"").await.status, 202);
    let catalogue = it.ask(Method::GET, "_catalog", &basic("ada", "correct horse"), b"").await;
    assert_eq!(catalogue.json()["repositories"], serde_json::json!([]), "what one may not read is not listed");
    let catalogue = it.ask(Method::GET, "_catalog", &basic("root", "of the file"), b"").await;
    assert_eq!(catalogue.json()["repositories"], serde_json::json!(["any/where"]));
}

#[tokio::test]
async fn the_list_of_repositories_needs_a_token_for_it() {
    let it = guarded().await;
    for repository in ["team/app", "team/web", "secret/app"] {
        assert_eq!(it.push(repository, &basic("root", "of the file")).await, 201);
    }
    let nobody = it.ask(Method::GET, "_catalog", "", b"").await;
    assert!(nobody.status == 401 && nobody.header("www-authenticate").ends_with(",scope=\"registry:catalog:*\""));
    let reader = basic("reader", "correct horse");
    let narrow = it.token(&reader, "repository:team/app:pull").await;
    let refused = it.ask(Method::GET, "_catalog", &narrow, b"").await;
    let challenge = ",scope=\"registry:catalog:*\",error=\"insufficient_scope\"";
    assert!(refused.status == 401 && refused.header("www-authenticate").ends_with(challenge));
    let found = it.hub.ask_at(Method::GET, "/v1/search?q=", &[("authorization", &narrow)], Body::empty()).await;
    assert_eq!(found.json()["num_results"], 1);
    let asked = it.ask(Method::GET, "token?scope=registry:catalog:*", &reader, b"").await.json();
    assert_eq!(asked["scope"], "registry:catalog:*");
    let token = format!("Bearer {}", asked["token"].as_str().unwrap());
    let listed = it.ask(Method::GET, "_catalog", &token, b"").await.json();
    assert_eq!(listed["repositories"], serde_json::json!(["team/app", "team/web"]));
    assert_eq!(it.ask(Method::GET, "team/app/manifests/1", &token, b"").await.status, 401, "a list shows names alone");
    let nothing = it.ask(Method::GET, "token?scope=registry:catalog:*", "", b"").await.json();
    assert_eq!(nothing["scope"], "", "who may read nothing has no list");
}

#[tokio::test]
async fn everybody_may_pull_where_that_is_allowed_and_mounts_show_nothing_else() {
    let it = guarded().await;
    let root = basic("root", "of the file");
    for repository in ["public/app", "team/app", "secret/app"] {
        assert_eq!(it.push(repository, &root).await, 201);
    }
    it.database.put_right(&Right::new("", "public/*", "pull").unwrap()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    assert_eq!(it.ask(Method::GET, "public/app/manifests/1", "", b"").await.status, 200);
    let token = it.token("", "repository:public/app:pull,push").await;
    assert_eq!(it.ask(Method::GET, "", &token, b"").await.status, 200, "who has a token has logged in as nobody");
    assert_eq!(it.ask(Method::GET, "public/app/manifests/1", &token, b"").await.status, 200);
    assert_eq!(it.push("public/app", &token).await, 401);
    assert_eq!(it.ask(Method::GET, "team/app/manifests/1", "", b"").await.status, 401);
    let layer = Digest::of(b"only there");
    let path = format!("secret/app/blobs/uploads/?digest={layer}");
    assert_eq!(it.ask(Method::POST, &path, &root, b"only there").await.status, 201);
    let ada = basic("ada", "correct horse");
    for source in ["", "&from=secret/app"] {
        let path = format!("team/app/blobs/uploads/?mount={layer}{source}");
        assert_eq!(it.ask(Method::POST, &path, &ada, b"").await.status, 202, "{source}");
        assert_eq!(it.ask(Method::POST, &path, &root, b"").await.status, 201, "{source}");
        let delete = format!("team/app/blobs/{layer}");
        assert_eq!(it.ask(Method::DELETE, &delete, &root, b"").await.status, 202);
    }
}

#[tokio::test]
async fn a_mount_from_what_the_account_may_read_needs_a_token_for_both() {
    let it = guarded().await;
    let root = basic("root", "of the file");
    let layer = Digest::of(b"shared");
    let path = format!("team/one/blobs/uploads/?digest={layer}");
    assert_eq!(it.ask(Method::POST, &path, &root, b"shared").await.status, 201);
    let ada = basic("ada", "correct horse");
    let narrow = it.token(&ada, "repository:team/two:pull,push").await;
    for source in ["", "&from=team/one"] {
        let path = format!("team/two/blobs/uploads/?mount={layer}{source}");
        let refused = it.ask(Method::POST, &path, &narrow, b"").await;
        let scope = "scope=\"repository:team/two:pull,push repository:team/one:pull\",error=\"insufficient_scope\"";
        assert!(refused.status == 401 && refused.header("www-authenticate").ends_with(scope), "{source}");
    }
    let both = it.token(&ada, "repository:team/two:pull,push%20repository:team/one:pull").await;
    let path = format!("team/two/blobs/uploads/?mount={layer}&from=team/one");
    assert_eq!(it.ask(Method::POST, &path, &both, b"").await.status, 201);
}

#[tokio::test]
async fn a_login_may_be_kept_by_a_refresh_token_until_the_password_changes() {
    let it = guarded().await;
    let login = "grant_type=password&username=ada&password=correct+horse&service=x&client_id=docker";
    let plain = it.form(login).await;
    assert!(plain.status == 200 && plain.json().get("refresh_token").is_none());
    let kept = it.form(&format!("{login}&access_type=offline&scope=repository:team/app:pull")).await.json();
    assert_eq!(kept["scope"], "repository:team/app:pull");
    let refresh = kept["refresh_token"].as_str().unwrap();
    let asked = format!(
        "grant_type=refresh_token&refresh_token={refresh}&scope=repository:team/app:pull%20repository:x/y:pull"
    );
    let renewed = it.form(&asked).await;
    assert_eq!((renewed.status, &renewed.json()["scope"]), (200, &"repository:team/app:pull".into()));
    let query = "token?service=x&offline_token=true";
    let by_query = it.ask(Method::GET, query, &basic("ada", "correct horse"), b"").await.json();
    assert!(by_query["refresh_token"].as_str().is_some_and(|token| token.starts_with("slr_")));
    for (form, status) in [
        ("grant_type=refresh_token&refresh_token=slr_x", 401),
        ("grant_type=password&username=ada&password=wrong", 401),
        ("grant_type=password&username=ada", 400),
        ("grant_type=magic", 400),
        ("", 400),
    ] {
        assert_eq!(it.form(form).await.status, status, "{form}");
    }
    it.database.change_password("ada", &hash_password("another one").unwrap()).await.unwrap();
    assert_eq!(it.form(&asked).await.status, 401);
}

#[tokio::test]
async fn whoever_guesses_is_locked_out_and_the_owner_elsewhere_is_not() {
    let it = guarded().await;
    for _ in 0..10 {
        assert_eq!(it.ask(Method::GET, "", &basic("ada", "guess"), b"").await.status, 401);
    }
    let locked = it.ask(Method::GET, "", &basic("ada", "correct horse"), b"").await;
    assert_eq!((locked.status, locked.code().as_str()), (429, "TOOMANYREQUESTS"));
    assert!(locked.header("retry-after").parse::<u64>().unwrap() > 200);
    assert_eq!(it.ask(Method::GET, "", &basic("reader", "correct horse"), b"").await.status, 200);
}

#[tokio::test]
async fn many_guesses_at_once_are_no_more_than_one_after_another() {
    let it = guarded().await;
    let login = basic("ada", "guess");
    let guesses = (0..40).map(|_| it.ask(Method::GET, "", &login, b""));
    let answers: Vec<_> = futures::future::join_all(guesses).await.iter().map(|answer| answer.status).collect();
    let of = |status: u16| answers.iter().filter(|other| **other == status).count();
    assert_eq!((of(401), of(429)), (10, 30));
    let reader = basic("reader", "correct horse");
    let logins = (0..40).map(|_| it.ask(Method::GET, "", &reader, b""));
    assert!(futures::future::join_all(logins).await.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn a_client_that_goes_away_before_the_answer_has_guessed() {
    let it = guarded().await;
    assert_eq!(it.ask(Method::GET, "", &basic("reader", "correct horse"), b"").await.status, 200);
    for _ in 0..10 {
        let left = it.ask(Method::GET, "", &basic("ada", "guess"), b"").now_or_never();
        assert!(left.is_none(), "hashing takes longer");
    }
    assert_eq!(it.ask(Method::GET, "", &basic("ada", "correct horse"), b"").await.status, 429);
}

#[tokio::test]
async fn a_configured_user_is_never_locked_out_and_addresses_are_those_behind_the_proxy() {
    let mut it = guarded().await;
    let mut behind = settings(&it.database, "of the file");
    behind.client_address = ClientAddress::new(|peer, headers| {
        let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok()?.parse().ok());
        forwarded.unwrap_or(peer)
    });
    it.hub.router = registry::router(it.hub.store.clone(), behind);
    let ask = async |name: &str, password: &str, address: &str| {
        let headers = [("authorization", &*basic(name, password)), ("x-forwarded-for", address)];
        it.hub.ask(Method::GET, "", &headers, b"").await.status
    };
    for name in ["root", "ada"] {
        for _ in 0..10 {
            assert_eq!(ask(name, "guess", "192.0.2.1").await, 401);
        }
        assert_eq!(ask(name, "guess", "192.0.2.1").await, 429);
    }
    assert_eq!(ask("root", "of the file", "192.0.2.1").await, 200);
    assert_eq!(ask("ada", "correct horse", "192.0.2.1").await, 429);
    assert_eq!(ask("ada", "correct horse", "192.0.2.2").await, 200);
}

#[tokio::test]
async fn an_account_with_the_name_of_a_configured_user_is_not_that_user() {
    let it = guarded().await;
    let password_hash = hash_password("correct horse").unwrap();
    let account = NewAccount { name: "root".to_owned(), is_robot: false, password_hash, expires_ms: None };
    assert!(it.database.add_account(&account, &[]).await.unwrap());
    let login = basic("root", "correct horse");
    for path in ["", "token?service=x&offline_token=true"] {
        assert_eq!(it.ask(Method::GET, path, &login, b"").await.status, 401, "{path}");
    }
    assert_eq!(it.ask(Method::GET, "", &basic("root", "of the file"), b"").await.status, 200);
}

#[tokio::test]
async fn tokens_end_with_the_password_that_they_were_got_with() {
    let mut it = guarded().await;
    let tokens = async |it: &Guarded, name: &str, password: &str| {
        let query = "token?service=x&offline_token=true&scope=repository:team/app:pull,push";
        let answer = it.ask(Method::GET, query, &basic(name, password), b"").await.json();
        let access = format!("Bearer {}", answer["token"].as_str().unwrap());
        let refresh = answer["refresh_token"].as_str().unwrap().to_owned();
        (access, format!("grant_type=refresh_token&refresh_token={refresh}"))
    };
    let statuses = async |it: &Guarded, (access, refresh): &(String, String)| {
        (it.push("team/app", access).await, it.form(refresh).await.status)
    };
    let changed = tokens(&it, "ada", "correct horse").await;
    let made_again = tokens(&it, "reader", "correct horse").await;
    let configured = tokens(&it, "root", "of the file").await;
    assert_eq!(statuses(&it, &changed).await, (201, 200));
    assert_eq!(statuses(&it, &configured).await, (201, 200));
    it.hub.router = registry::router(it.hub.store.clone(), settings(&it.database, "of the file"));
    assert_eq!(statuses(&it, &configured).await, (201, 200), "a restart alone ends nothing");
    it.database.change_password("ada", &hash_password("another one").unwrap()).await.unwrap();
    let password_hash = hash_password("another one").unwrap();
    let account = NewAccount { name: "reader".to_owned(), is_robot: false, password_hash, expires_ms: None };
    assert!(it.database.remove_account("reader").await.unwrap());
    assert!(it.database.add_account(&account, &[Right::new("reader", "team/*", "*").unwrap()]).await.unwrap());
    it.hub.router = registry::router(it.hub.store.clone(), settings(&it.database, "of another file"));
    for ended in [changed, made_again, configured] {
        assert_eq!(statuses(&it, &ended).await, (401, 401));
    }
    let renewed = tokens(&it, "root", "of another file").await;
    assert_eq!(statuses(&it, &renewed).await, (201, 200));
}

#[tokio::test]
async fn one_account_leaves_places_for_the_uploads_of_others() {
    let it = guarded().await;
    it.database.put_right(&Right::new("", "public/*", "pull,push").unwrap()).await.unwrap();
    let ada = it.token(&basic("ada", "correct horse"), "repository:team/app:pull,push").await;
    let root = it.token(&basic("root", "of the file"), "repository:team/app:pull,push").await;
    let begin = async |login: &str, repository: &str| {
        it.ask(Method::POST, &format!("{repository}/blobs/uploads/"), login, b"").await
    };
    let first = begin(&ada, "team/app").await;
    for (login, repository, most) in [(&*ada, "team/app", 99), ("", "public/app", 100)] {
        for _ in 0..most {
            assert_eq!(begin(login, repository).await.status, 202);
        }
        let refused = begin(login, repository).await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "TOOMANYREQUESTS"));
        assert_eq!(refused.header("retry-after"), "60");
    }
    for _ in 0..101 {
        assert_eq!(begin(&root, "team/app").await.status, 202);
    }
    let place = first.header("location").strip_prefix("/v2/").unwrap().to_owned();
    assert_eq!(it.ask(Method::DELETE, &place, &ada, b"").await.status, 204);
    assert_eq!(begin(&ada, "team/app").await.status, 202);
}

#[tokio::test]
async fn an_account_that_goes_takes_its_tokens_with_it() {
    let it = guarded().await;
    let token = it.token(&basic("ada", "correct horse"), "repository:team/app:pull,push").await;
    assert_eq!(it.push("team/app", &token).await, 201);
    it.database.remove_account("ada").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    assert_eq!(it.push("team/app", &token).await, 401);
}

#[tokio::test]
async fn who_pushed_and_deleted_what_is_recorded() {
    let it = guarded().await;
    let ada = basic("ada", "correct horse");
    assert_eq!(it.push("team/app", &ada).await, 201);
    assert_eq!(it.ask(Method::DELETE, "team/app/manifests/1", &ada, b"").await.status, 202);
    assert_eq!(it.ask(Method::DELETE, "team/app/manifests/1", &ada, b"").await.status, 404);
    assert_eq!(it.push("other/app", &ada).await, 403);
    let changes = it.database.changes(&ChangeFilter::default(), 10).await.unwrap();
    let shown: Vec<_> = changes
        .iter()
        .map(|change| format!("{} {} {}@{}", change.account, change.action, change.repository, change.reference))
        .collect();
    assert_eq!(shown, ["ada delete team/app@1", "ada push team/app@1"]);
    assert_eq!(changes[1].digest, crate::hub::digest_of(&manifest(&[])).as_str());
}
