//! People: their identities, sessions, rights, tokens, the logins of their command lines, and the audit log.

use super::*;

fn login(access: &str) -> KnownLogin {
    KnownLogin { access: access.into(), refresh: Some("refresh-canary".into()), expires_ms: Some(5) }
}

async fn person(database: &Database, subject: &str, name: &str) -> Identity {
    database.put_identity("github.com", subject, name, Some(&login("access-canary"))).await.unwrap()
}

both! {
    async fn a_person_is_known_by_what_the_forge_never_changes(world) {
        let database = world.database.clone().with_key(SecretKey::new([1; 32]));
        let ada = person(&database, "7", "github.com/ada").await;
        let renamed = database.put_identity("github.com", "7", "github.com/countess", None).await.unwrap();
        assert_eq!((renamed.id, renamed.name.as_str(), renamed.login.clone()), (ada.id, "github.com/countess", None));
        let other = person(&database, "8", "github.com/ada").await;
        assert!(other.id != ada.id && other.login == Some(login("access-canary")));
        assert_eq!(database.identity_of("github.com", "8").await.unwrap(), Some(other.clone()));
        assert_eq!(database.identity_of("gitlab.com", "8").await.unwrap(), None);
        assert_eq!(database.identities().await.unwrap().len(), 2);
        database.put_login(&other, None).await.unwrap();
        assert_eq!(database.identity(other.id).await.unwrap().unwrap().login, None);
        assert!(!format!("{other:?} {:?}", other.login).contains("canary"));
    }
}

both! {
    async fn a_login_is_sealed_for_its_owner(world) {
        let database = world.database.clone().with_key(SecretKey::new([1; 32]));
        let ada = person(&database, "7", "github.com/ada").await;
        let with_another_key = world.other().await.with_key(SecretKey::new([2; 32]));
        assert_eq!(with_another_key.identity(ada.id).await.unwrap().unwrap().login, None);
        let row = crate::sql::statement::sql("test", "SELECT login FROM identities").one(database.read()).await.unwrap();
        let stored: String = row.get("login").unwrap();
        assert!(stored.len() > 50 && hex::decode(&stored).is_ok_and(|bytes| !String::from_utf8_lossy(&bytes).contains("canary")));
        // Without a key nothing is stored in the clear.
        let refused = world.other().await.put_identity("github.com", "9", "x", Some(&login("a"))).await;
        assert!(matches!(refused, Err(Error::NoKey)), "{refused:?}");
    }
}

both! {
    async fn sessions_of_a_person_end_one_by_one_and_all_at_once(world) {
        let database = world.database.clone().with_key(SecretKey::new([1; 32]));
        let (ada, bob) = (person(&database, "1", "a").await, person(&database, "2", "b").await);
        let mut ids = Vec::new();
        for owner in [ada.id, ada.id, ada.id, bob.id] {
            let (owner, address) = (SessionOwner::Identity(owner), "192.0.2.1".to_owned());
            let session = NewSession { owner, span_ms: 60_000, address, browser: "Firefox\n" };
            ids.push(database.begin_session(&session).await.unwrap());
        }
        assert_eq!(database.owner_of_session(&ids[0]).await.unwrap(), Some(SessionOwner::Identity(ada.id)));
        let listed = database.sessions_of(ada.id).await.unwrap();
        assert!(listed.len() == 3 && listed.iter().all(|one| one.browser == "Firefox" && one.address == "192.0.2.1"));
        let name = session_name(&ids[0]);
        assert!(!database.end_session_named(bob.id, &name).await.unwrap(), "another person's");
        assert!(database.end_session_named(ada.id, &name).await.unwrap());
        assert_eq!(database.owner_of_session(&ids[0]).await.unwrap(), None);
        assert_eq!(database.end_sessions_of(ada.id, Some(&ids[1])).await.unwrap(), 1);
        assert!(database.owner_of_session(&ids[1]).await.unwrap().is_some());
        assert!(database.owner_of_session(&ids[2]).await.unwrap().is_none());
        assert!(database.owner_of_session(&ids[3]).await.unwrap().is_some());
    }
}

both! {
    async fn nothing_outlives_an_identity(world) {
        let database = &world.database;
        let robot = database.put_identity("service", "ci", "service/ci", None).await.unwrap();
        let right = |pattern: &str| IdentityRight { pattern: pattern.into(), scope: "trigger".into() };
        database.put_rights(robot.id, &[right("team/*"), right("a/b")]).await.unwrap();
        database.put_rights(robot.id, &[right("team/*")]).await.unwrap();
        assert_eq!(database.rights_of(robot.id).await.unwrap(), [right("team/*")]);
        let token = NewToken {
            name: "service/ci/one".into(), hash: [9; 32], scopes: vec!["read".into()], repositories: Vec::new(), expires_ms: None,
            identity: Some(robot.id),
        };
        assert!(database.create_token(&token).await.unwrap());
        assert_eq!(database.tokens_of(robot.id).await.unwrap().len(), 1);
        assert_eq!(database.token_by_hash(&[9; 32]).await.unwrap().unwrap().identity, Some(robot.id));
        assert!(database.remove_identity(robot.id).await.unwrap() && !database.remove_identity(robot.id).await.unwrap());
        assert_eq!(database.token_by_hash(&[9; 32]).await.unwrap(), None);
        assert!(database.rights_of(robot.id).await.unwrap().is_empty());
    }
}

both! {
    async fn an_account_that_ends_signs_nobody_in(world) {
        let database = &world.database;
        let account = NewAccount { name: "ada".into(), is_robot: false, password_hash: "x".into(), expires_ms: None };
        assert!(database.add_account(&account, &[]).await.unwrap());
        let ada = database.put_identity("local", "ada", "local/ada", None).await.unwrap();
        let session = NewSession { owner: SessionOwner::Identity(ada.id), span_ms: 60_000, address: String::new(), browser: "" };
        let id = database.begin_session(&session).await.unwrap();
        assert!(database.change_password("ada", "y").await.unwrap());
        assert_eq!(database.owner_of_session(&id).await.unwrap(), None, "another password");
        let id = database.begin_session(&session).await.unwrap();
        assert!(database.remove_account("ada").await.unwrap());
        assert_eq!(database.owner_of_session(&id).await.unwrap(), None);
        assert_eq!(database.identity(ada.id).await.unwrap(), None);
    }
}

both! {
    async fn a_login_of_the_command_line_is_taken_once(world) {
        let database = &world.database;
        let ada = database.put_identity("local", "ada", "local/ada", None).await.unwrap();
        let login = DeviceLogin { user_code: "ABCD-EFGH".into(), name: "laptop".into(), address: "192.0.2.1".into() };
        assert!(database.add_device_login("secret", &login, 60_000).await.unwrap());
        assert!(!database.add_device_login("another", &login, 60_000).await.unwrap(), "the code is taken");
        assert_eq!(database.device_login("ABCD-EFGH").await.unwrap(), Some(login.clone()));
        assert_eq!(database.take_device_login("secret").await.unwrap(), DeviceState::Waiting);
        assert_eq!(database.take_device_login("ABCD-EFGH").await.unwrap(), DeviceState::Gone, "the code is not the secret");
        assert!(database.confirm_device_login("ABCD-EFGH", ada.id).await.unwrap());
        assert!(!database.confirm_device_login("ABCD-EFGH", ada.id).await.unwrap());
        assert_eq!(database.device_login("ABCD-EFGH").await.unwrap(), None);
        let taken = database.take_device_login("secret").await.unwrap();
        assert_eq!(taken, DeviceState::Confirmed(ada.id, "laptop".into()));
        assert_eq!(database.take_device_login("secret").await.unwrap(), DeviceState::Gone);
        assert!(database.add_device_login("late", &login, 0).await.unwrap());
        assert_eq!(database.take_device_login("late").await.unwrap(), DeviceState::Gone);
    }
}

both! {
    async fn the_audit_log_is_filtered_and_old_entries_go(world) {
        let database = &world.database;
        for (actor, action, repository) in [("ada", "sign_in", ""), ("bob", "build_cancelled", "a/b"), ("ada", "build_cancelled", "a/c")] {
            let (actor, repository, address) = (actor.to_owned(), repository.to_owned(), "192.0.2.1".to_owned());
            database.write_audit(&NewAuditEntry { actor, address, action, repository, subject: "x".into() }).await.unwrap();
        }
        let all = database.audit_log(&AuditFilter::default(), 10).await.unwrap();
        assert_eq!(all.iter().map(|entry| entry.actor.as_str()).collect::<Vec<_>>(), ["ada", "bob", "ada"]);
        let filter = AuditFilter { actor: Some("ada".into()), before: Some(all[0].id), ..AuditFilter::default() };
        let found = database.audit_log(&filter, 10).await.unwrap();
        assert_eq!((found.len(), found[0].action.as_str()), (1, "sign_in"));
        let policy = RetentionPolicy { audit_days: Some(1), ..RetentionPolicy::default() };
        database.sweep(&policy).await.unwrap();
        assert_eq!(database.audit_log(&AuditFilter::default(), 10).await.unwrap().len(), 3);
        crate::sql::statement::sql("test", "UPDATE audit_log SET at_ms = 1 WHERE actor = 'ada'").run(database.write()).await.unwrap();
        assert_eq!(database.sweep(&policy).await.unwrap().of("audit_log"), 2);
        assert_eq!(database.audit_log(&AuditFilter::default(), 10).await.unwrap().len(), 1);
    }
}
