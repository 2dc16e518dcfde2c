//! Accounts of the embedded registry, on both databases.

use super::*;
use crate::sql::statement::sql;

both! {
    async fn accounts_have_rights_and_tokens_until_they_are_removed(world) {
        let database = &world.database;
        let account = |name: &str| NewAccount {
            name: name.to_owned(),
            is_robot: name == "ci",
            password_hash: "hash".to_owned(),
            expires_ms: None,
        };
        let right = |name: &str, actions: &str| Right::new(name, "team/*", actions).unwrap();
        assert!(database.add_account(&account("ada"), &[right("ada", "pull")]).await.unwrap());
        assert!(!database.add_account(&account("ada"), &[right("ada", "*")]).await.unwrap(), "the name is taken");
        assert!(database.add_account(&account("ci"), &[]).await.unwrap());
        assert!(database.put_right(&right("", "pull")).await.unwrap());
        assert!(database.put_right(&right("ada", "pull,push")).await.unwrap());
        assert!(!database.put_right(&right("bob", "pull")).await.unwrap(), "there is no such account");
        assert_eq!(database.rights().await.unwrap(), [right("", "pull"), right("ada", "pull,push")]);
        let accounts = database.accounts().await.unwrap();
        assert_eq!(accounts.iter().map(|one| (one.name.as_str(), one.is_robot)).collect::<Vec<_>>(), [("ada", false), ("ci", true)]);
        let token = database.add_refresh_token("ada", "login", 60_000).await.unwrap();
        let old = database.add_refresh_token("ada", "login", 0).await.unwrap();
        let found = RefreshToken { account: "ada".to_owned(), login: "login".to_owned() };
        assert_eq!(database.refresh_token(&token).await.unwrap(), Some(found));
        assert_eq!(database.refresh_token(&old).await.unwrap(), None);
        assert!(database.change_password("ada", "other").await.unwrap());
        assert_eq!(database.refresh_token(&token).await.unwrap(), None, "a new password ends what was logged in");
        assert!(!database.change_password("bob", "other").await.unwrap());
        assert!(database.remove_right("", "team/*").await.unwrap() && !database.remove_right("", "team/*").await.unwrap());
        assert!(database.remove_account("ada").await.unwrap() && !database.remove_account("ada").await.unwrap());
        assert!(database.rights().await.unwrap().is_empty(), "a later account of that name starts without rights");
    }
}

both! {
    async fn an_account_has_so_many_refresh_tokens_and_those_that_ended_go(world) {
        let database = &world.database;
        let first = database.add_refresh_token("ada", "login", 1_000_000).await.unwrap();
        let other = database.add_refresh_token("bob", "login", 200_000).await.unwrap();
        for number in 0..100 {
            world.pass(1);
            assert_eq!(database.refresh_token(&first).await.unwrap().is_some(), number < 100, "{number}");
            database.add_refresh_token("ada", "login", 1_000_000).await.unwrap();
        }
        assert_eq!(database.refresh_token(&first).await.unwrap(), None, "the oldest of too many");
        assert!(database.refresh_token(&other).await.unwrap().is_some());
        world.pass(200);
        let removed = database.sweep(&RetentionPolicy::default()).await.unwrap();
        assert_eq!(removed.of("registry_refresh_tokens"), 1);
    }
}

both! {
    async fn changes_of_long_ago_and_too_many_are_forgotten(world) {
        let database = &world.database;
        let change = NewChange { action: "push", ..NewChange::default() };
        for _ in 0..2 {
            database.record_change(&change).await.unwrap();
        }
        world.pass(366 * 24 * 60 * 60);
        database.record_change(&change).await.unwrap();
        assert_eq!(database.sweep(&RetentionPolicy::default()).await.unwrap().of("registry_changes"), 2);
        assert_eq!(database.sweep(&RetentionPolicy::default()).await.unwrap().of("registry_changes"), 0);
        let many = "INSERT INTO registry_changes (id, at_ms, account, address, action, repository, reference, digest) \
             SELECT id + $1, at_ms, account, address, action, repository, reference, digest FROM registry_changes";
        for number in [1_000, 100_999] {
            sql("test", many).bind(number).run(database.write()).await.unwrap();
        }
        // Their numbers are 3, 1003, 101002 and 102002.
        assert_eq!(database.sweep(&RetentionPolicy::default()).await.unwrap().of("registry_changes"), 2);
        assert_eq!(database.changes(&ChangeFilter::default(), 9).await.unwrap().len(), 2);
    }
}

both! {
    async fn changes_are_listed_newest_first_by_repository_and_account(world) {
        for (account, repository) in [("ada", "a/a"), ("", "b/b"), ("ada", "b/b")] {
            let change = NewChange {
                account: account.to_owned(),
                action: "push",
                repository: repository.to_owned(),
                ..NewChange::default()
            };
            world.database.record_change(&change).await.unwrap();
        }
        let listed = async |filter: ChangeFilter, limit: i64| {
            let changes = world.database.changes(&filter, limit).await.unwrap();
            changes.into_iter().map(|change| format!("{}:{}", change.account, change.repository)).collect::<Vec<_>>()
        };
        assert_eq!(listed(ChangeFilter::default(), 2).await, ["ada:b/b", ":b/b"]);
        let of = |repository: &str| Some(repository.to_owned());
        assert_eq!(listed(ChangeFilter { repository: of("a/a"), ..Default::default() }, 9).await, ["ada:a/a"]);
        assert_eq!(listed(ChangeFilter { account: of("ada"), ..Default::default() }, 9).await, ["ada:b/b", "ada:a/a"]);
        let first = world.database.changes(&ChangeFilter::default(), 1).await.unwrap()[0].id;
        let rest = listed(ChangeFilter { before: Some(first), ..Default::default() }, 9).await;
        assert_eq!(rest, [":b/b", "ada:a/a"]);
    }
}

both! {
    async fn endpoints_are_told_in_order_and_what_is_not_taken_is_due_later(world) {
        let database = &world.database;
        let notification = |endpoint: &str, event: &str| NewRegistryNotification { endpoint: endpoint.into(), event: event.into() };
        let change = NewChange { action: "push", ..NewChange::default() };
        database.record_and_tell(&change, &[notification("flux", "1"), notification("other", "1")]).await.unwrap();
        database.tell_endpoints(&[notification("flux", "2"), notification("flux", "3")]).await.unwrap();
        assert_eq!(database.changes(&ChangeFilter::default(), 10).await.unwrap().len(), 1);
        let due = async || {
            let due = database.due_registry_notifications("flux", 10).await.unwrap();
            due.into_iter().map(|notification| (notification.event, notification.id, notification.tries)).collect::<Vec<_>>()
        };
        let first = due().await;
        assert_eq!(first.iter().map(|known| known.0.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
        database.acknowledge_registry_notification(first[0].1, &StatusAnswer::Again("busy".into())).await.unwrap();
        assert!(due().await.is_empty(), "none overtakes the first");
        world.pass(2);
        assert_eq!(due().await.iter().map(|known| known.2).collect::<Vec<_>>(), [1, 0, 0]);
        database.acknowledge_registry_notification(first[0].1, &StatusAnswer::Taken).await.unwrap();
        assert_eq!(database.trim_registry_notifications("flux", 1).await.unwrap(), 1);
        assert_eq!(database.trim_registry_notifications("flux", 1).await.unwrap(), 0);
        assert_eq!(due().await.iter().map(|known| known.0.as_str()).collect::<Vec<_>>(), ["3"]);
        database.forget_registry_endpoints(&["flux".to_owned()]).await.unwrap();
        assert!(database.due_registry_notifications("other", 10).await.unwrap().is_empty() && due().await.len() == 1);
    }
}
