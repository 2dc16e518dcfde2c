//! Accounts and rights of the embedded registry through the API.

use crate::service::api::{ADMIN, ask, ask_as};
use crate::support::{Site, TOKEN, curl};
use serde_json::{Value, json};

const USERS: &str = "/v1/registry/users";
const RIGHTS: &str = "/v1/registry/rights";

/// Returns the status of a login to the registry.
fn login(site: &Site, name: &str, password: &str, path: &str) -> u16 {
    let url = format!("http://{}/v2/{path}", site.registry);
    curl(&["-u", &format!("{name}:{password}"), &url]).status
}

#[test]
fn an_account_is_made_used_given_rights_and_removed() {
    let site = Site::start_with("registry_users = { ci = \"hush-hush\" }", ADMIN);
    let rights = json!([{ "pattern": "team/*", "actions": ["push", "pull"] }]);
    let made = ask(&site, "POST", USERS, &json!({ "name": "ada", "robot": true, "rights": rights }));
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    let password = made["password"].as_str().unwrap();
    assert!(password.starts_with("slu_"), "{made}");
    assert_eq!(made["rights"], json!([{ "user": "ada", "pattern": "team/*", "actions": ["pull", "push"] }]));
    assert_eq!(login(&site, "ada", password, ""), 200);
    assert_eq!(login(&site, "ada", password, "other/app/tags/list"), 403);
    let given = json!({ "name": "bob", "password": "correct horse", "expires_at": "2999-01-31T12:00:00Z" });
    let given = ask(&site, "POST", USERS, &given).json();
    assert_eq!((&given["password"], &given["expires_at"]), (&Value::Null, &json!("2999-01-31T12:00:00Z")));
    let listed = ask(&site, "GET", USERS, &Value::Null).json();
    let names: Vec<_> = listed["users"].as_array().unwrap().iter().map(|user| user["name"].clone()).collect();
    assert_eq!(names, ["ada", "bob"]);
    assert!(!listed.to_string().contains("argon2") && !listed.to_string().contains("password"), "{listed}");

    let right = json!({ "user": "ada", "pattern": "other/*", "actions": ["*"] });
    let right = ask(&site, "PUT", RIGHTS, &right);
    assert_eq!(right.json(), json!({ "user": "ada", "pattern": "other/*", "actions": ["pull", "push", "delete"] }));
    let everybody = json!({ "everybody": true, "pattern": "public/**", "actions": ["pull"] });
    assert_eq!(ask(&site, "PUT", RIGHTS, &everybody).status, 200);
    let rights = ask(&site, "GET", RIGHTS, &Value::Null).json();
    assert_eq!(rights["rights"].as_array().unwrap().len(), 3);
    assert_eq!(rights["rights"][0], json!({ "user": null, "pattern": "public/**", "actions": ["pull"] }));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert_eq!(login(&site, "ada", password, "other/app/tags/list"), 404, "it may read, and nothing is there");
    for gone in [format!("{RIGHTS}?pattern=other/*&user=ada"), format!("{RIGHTS}?pattern=public/**&everybody=true")] {
        assert_eq!(ask(&site, "DELETE", &gone, &Value::Null).status, 204);
        let again = ask(&site, "DELETE", &gone, &Value::Null);
        assert_eq!((again.status, again.json()["code"].as_str()), (404, Some("right_not_found")));
    }

    let changed = ask(&site, "PUT", &format!("{USERS}/ada/password"), &json!({ "password": "another horse" }));
    assert_eq!((changed.status, &changed.json()["password"]), (200, &Value::Null));
    assert_eq!(ask(&site, "DELETE", &format!("{USERS}/bob"), &Value::Null).status, 204);
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert_eq!(login(&site, "ada", password, ""), 401);
    assert_eq!(login(&site, "ada", "another horse", ""), 200);
    assert_eq!(login(&site, "bob", "correct horse", ""), 401);
}

#[test]
fn what_is_wrong_with_an_account_or_a_right_is_said() {
    let site = Site::start_with("registry_users = { ci = \"hush-hush\" }", ADMIN);
    assert_eq!(ask(&site, "POST", USERS, &json!({ "name": "ada" })).status, 201);
    let right = |pattern: &str, action: &str| json!({ "user": "ada", "pattern": pattern, "actions": [action] });
    for (method, path, body, status, code, said) in [
        ("POST", USERS, json!({ "name": "ada" }), 409, "user_exists", "there is an account `ada` already"),
        ("POST", USERS, json!({ "name": "ci" }), 409, "user_exists", "choose another name"),
        ("POST", USERS, json!({ "name": "a:b" }), 400, "invalid_user", "is not a name of an account"),
        ("POST", USERS, json!({ "name": "x", "password": "short" }), 400, "invalid_user", "fewer than 8 characters"),
        ("POST", USERS, json!({ "name": "x", "expires_at": "soon" }), 400, "invalid_user", "is not a time"),
        (
            "POST",
            USERS,
            json!({ "name": "x", "expires_at": "2000-01-01T00:00:00Z" }),
            400,
            "invalid_user",
            "has passed",
        ),
        ("POST", USERS, json!({ "name": "x", "admin": true }), 400, "unknown_field", "admin"),
        (
            "POST",
            USERS,
            json!({ "name": "x", "rights": [{ "pattern": "A", "actions": [] }] }),
            400,
            "invalid_right",
            "pattern",
        ),
        ("PUT", RIGHTS, right("team/*", "read"), 400, "invalid_right", "`read` is not an action"),
        ("PUT", RIGHTS, json!({ "pattern": "team/*", "actions": ["pull"] }), 400, "invalid_right", "either `user`"),
        (
            "PUT",
            RIGHTS,
            json!({ "user": "", "pattern": "team/*", "actions": ["pull"] }),
            400,
            "invalid_right",
            "either",
        ),
        ("PUT", RIGHTS, json!({ "user": "adda", "pattern": "a", "actions": ["pull"] }), 404, "user_not_found", "`ada`"),
        ("PUT", "/v1/registry/users/bob/password", json!({}), 404, "user_not_found", "no account `bob`"),
        ("DELETE", "/v1/registry/users/bob", json!({}), 404, "user_not_found", "no account `bob`"),
        ("GET", "/v1/registry/users/bob", json!({}), 404, "user_not_found", "no account `bob`"),
        ("DELETE", "/v1/registry/rights?pattern=team/*", json!({}), 400, "invalid_right", "either `user`"),
        ("DELETE", "/v1/registry/rights?user=ada", json!({}), 400, "invalid_query", "pattern"),
    ] {
        let answer = ask(&site, method, path, &body);
        let problem = answer.json();
        assert_eq!(
            (answer.status, problem["code"].as_str()),
            (status, Some(code)),
            "{method} {path} {body}: {problem}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    let listed = ask(&site, "GET", USERS, &Value::Null).json();
    assert_eq!(listed["users"].as_array().unwrap().len(), 1, "what was refused left nothing: {listed}");
}

#[test]
fn only_administrators_of_everything_see_accounts() {
    let one = "[[tokens]]\nname = \"one\"\ntoken = \"00112233445566778899aabbccddeeff\"\nscopes = [\"admin\"]\n\
               repositories = [\"team/app\"]\n";
    let site = Site::start_with("anonymous_read = true", &format!("{ADMIN}{one}"));
    for (method, path) in [
        ("GET", USERS),
        ("POST", USERS),
        ("GET", "/v1/registry/users/ada"),
        ("DELETE", "/v1/registry/users/ada"),
        ("PUT", "/v1/registry/users/ada/password"),
        ("GET", RIGHTS),
        ("PUT", RIGHTS),
        ("DELETE", "/v1/registry/rights?pattern=a&everybody=true"),
    ] {
        for token in [TOKEN, "00112233445566778899aabbccddeeff"] {
            let refused = ask_as(&site, token, method, path, &[], &json!({ "name": "eve" }));
            assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("forbidden")), "{method} {path}");
        }
        let nobody = curl(&["-X", method, &format!("{}{path}", site.url)]);
        assert_eq!(nobody.status, 401, "{method} {path}");
    }
}
