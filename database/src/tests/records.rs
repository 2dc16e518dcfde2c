//! Repositories, tokens, secrets, schedules, rules fetches, deliveries.

use super::*;

both! {
    async fn a_document_is_replaced_only_by_who_has_seen_it(world) {
        let database = &world.database;
        let Put::Stored(first) = database.put_repository("acme/app", "{}", Some(0)).await.unwrap() else { panic!() };
        let conflict = Put::Conflict { present: Some(first) };
        assert_eq!(database.put_repository("acme/app", "{1}", Some(0)).await.unwrap(), conflict);
        let Put::Stored(second) = database.put_repository("acme/app", "{2}", Some(first)).await.unwrap() else { panic!() };
        assert!(second > first);
        assert!(matches!(database.put_repository("acme/app", "{3}", Some(first)).await.unwrap(), Put::Conflict { .. }));
        assert_eq!(database.put_repository("acme/no", "{}", Some(7)).await.unwrap(), Put::Conflict { present: None });
        let stored = database.repository("acme/app").await.unwrap().unwrap();
        assert_eq!((stored.document.as_str(), stored.version), ("{2}", second));
        assert!(matches!(database.put_repository("acme/b", "{}", None).await.unwrap(), Put::Stored(_)));
        let names: Vec<_> = database.repositories().await.unwrap().into_iter().map(|record| record.name).collect();
        assert_eq!(names, ["acme/app", "acme/b"]);
        assert!(database.delete_repository("acme/app").await.unwrap());
        let Put::Stored(third) = database.put_repository("acme/app", "{}", Some(0)).await.unwrap() else { panic!() };
        assert!(third > second, "a version never comes again");
    }
}

both! {
    async fn of_two_changes_at_once_one_is_told_of_the_other(world) {
        let Put::Stored(seen) = world.database.put_repository("acme/app", "{}", None).await.unwrap() else { panic!() };
        let mut changes = Vec::new();
        for number in 0..8 {
            let database = world.other().await;
            changes.push(tokio::spawn(async move {
                database.put_repository("acme/app", &format!("{{{number}}}"), Some(seen)).await.unwrap()
            }));
        }
        let mut stored = 0;
        for change in changes {
            stored += usize::from(matches!(change.await.unwrap(), Put::Stored(_)));
        }
        assert_eq!(stored, 1);
    }
}

both! {
    async fn a_removed_repository_builds_no_more(world) {
        let database = world.database.clone().with_key(SecretKey::generate().unwrap());
        database.put_repository("acme/app", "{}", None).await.unwrap();
        database.put_secret("acme/app", "npm", b"s").await.unwrap();
        let ids = world.trigger(&[request("acme/app", "1"), request("acme/app", "2"), request("acme/b", "3")]).await;
        world.claim("one").await;
        assert!(database.delete_repository("acme/app").await.unwrap());
        assert!(!database.delete_repository("acme/app").await.unwrap());
        assert!(world.build(&ids[0]).await.cancel_requested);
        assert_eq!(world.build(&ids[1]).await.state, BuildState::Cancelled);
        assert_eq!(world.build(&ids[2]).await.state, BuildState::Queued);
        assert!(database.secret_names("acme/app").await.unwrap().is_empty());
    }
}

both! {
    async fn a_token_is_good_until_it_expires_or_is_revoked(world) {
        let database = &world.database;
        let now = database.now_ms().await.unwrap();
        let token = |name: &str, first: u8, expires_ms| NewToken {
            name: name.into(), hash: [first; 32], scopes: vec!["trigger".into()], repositories: vec!["acme/app".into()], expires_ms,
            identity: None,
        };
        assert!(database.create_token(&token("ci", 1, None)).await.unwrap());
        assert!(!database.create_token(&token("ci", 2, None)).await.unwrap(), "the name is taken");
        assert!(database.create_token(&token("short", 3, Some(now + 60_000))).await.unwrap());
        assert!(database.token_by_hash(&[2; 32]).await.unwrap().is_none());
        let found = database.token_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.repositories), ("ci", vec!["acme/app".to_owned()]));
        let used = |tokens: Vec<TokenRecord>| tokens.into_iter().find(|token| token.name == "ci").unwrap().last_used_ms;
        let first_use = used(database.tokens().await.unwrap()).unwrap();
        world.pass(30);
        database.token_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert_eq!(used(database.tokens().await.unwrap()), Some(first_use), "not every use writes");
        assert!(database.token_by_hash(&[3; 32]).await.unwrap().is_some());
        world.pass(60);
        assert!(database.token_by_hash(&[3; 32]).await.unwrap().is_none());
        database.token_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert!(used(database.tokens().await.unwrap()).unwrap() > first_use);
        assert!(database.revoke_token("ci").await.unwrap() && !database.revoke_token("ci").await.unwrap());
        assert!(database.token_by_hash(&[1; 32]).await.unwrap().is_none());
        assert!(database.tokens().await.unwrap()[0].revoked_ms.is_some());
    }
}

both! {
    async fn secrets_are_sealed_and_open_only_with_their_key_in_their_place(world) {
        let value = b"a very secret value".as_slice();
        assert!(matches!(world.database.put_secret("acme/app", "npm", value).await, Err(Error::NoKey)));
        let key = SecretKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey");
        let database = world.database.clone().with_key(SecretKey::new(*key.as_bytes()));
        database.put_secret("acme/app", "npm", value).await.unwrap();
        database.put_secret("acme/app", "other", b"").await.unwrap();
        let wanted = ["npm".to_owned(), "missing".to_owned(), "other".to_owned()];
        let opened = database.secrets("acme/app", &wanted).await.unwrap();
        assert_eq!(opened, [("npm".to_owned(), value.to_vec()), ("other".to_owned(), Vec::new())]);
        assert_eq!(database.secret_names("acme/app").await.unwrap(), ["npm", "other"]);
        assert!(database.secrets("acme/b", &wanted).await.unwrap().is_empty());

        let read = || async { crate::sql::statement::sql("test", "SELECT sealed FROM secrets WHERE name = 'npm'").one(database.read()).await.unwrap() };
        let sealed: Vec<u8> = read().await.only();
        assert!(!sealed.windows(6).any(|part| part == &value[..6]), "stored in the open");
        database.put_secret("acme/app", "npm", value).await.unwrap();
        assert_ne!(read().await.only::<Vec<u8>>(), sealed, "the same value twice looks different");

        let other_key = world.database.clone().with_key(SecretKey::generate().unwrap());
        assert!(matches!(other_key.secrets("acme/app", &wanted[..1]).await, Err(Error::WrongKey(name)) if name == "npm"));
        crate::sql::statement::sql("test", "UPDATE secrets SET name = 'moved' WHERE name = 'npm'").run(database.write()).await.unwrap();
        assert!(matches!(database.secrets("acme/app", &["moved".to_owned()]).await, Err(Error::WrongKey(_))));
        assert!(database.delete_secret("acme/app", "moved").await.unwrap());
        assert!(!database.delete_secret("acme/app", "moved").await.unwrap());
    }
}

both! {
    async fn what_is_due_is_built_once_however_many_servers_look(world) {
        let mut servers = Vec::new();
        for _ in 0..6 {
            let database = world.other().await;
            servers.push(tokio::spawn(async move {
                database.begin_schedule("acme/app", "nightly", 1_000, &[request("acme/app", "c")]).await.unwrap()
            }));
        }
        let mut begun = Vec::new();
        for server in servers {
            begun.extend(server.await.unwrap());
        }
        assert_eq!(begun.len(), 1);
        assert_eq!(world.database.queue_length().await.unwrap(), 1);
        let again = |due| world.database.begin_schedule("acme/app", "nightly", due, &[]);
        assert_eq!(again(1_000).await.unwrap(), None);
        assert_eq!(again(2_000).await.unwrap(), Some(Vec::new()));
    }
}

both! {
    async fn a_trace_is_that_of_the_last_attempt(world) {
        let database = &world.database;
        let piece = |name: &str| PathPiece { work: "step".into(), name: name.into(), start_us: Some(3), duration_us: 7 };
        let id = world.trigger(&[request("acme/app", "c1")]).await.remove(0);
        assert_eq!((database.trace(&id).await.unwrap(), database.critical_path(&id).await.unwrap()), (None, vec![]));
        let first = world.claim("one").await;
        assert_eq!(database.cpu_ms(&id).await.unwrap(), None);
        database.put_trace(&first, "{}", &[piece("a")], Some(100)).await.unwrap();
        database.release("one").await.unwrap();
        let second = world.claim("two").await;
        database.put_trace(&second, "{\"b\":1}", &[piece("b")], Some(23)).await.unwrap();
        let late = database.put_trace(&first, "{}", &[], Some(1_000)).await;
        assert!(matches!(late, Err(Error::LeaseLost)), "{late:?}");
        assert_eq!(database.trace(&id).await.unwrap().as_deref(), Some("{\"b\":1}"));
        assert_eq!(database.critical_path(&id).await.unwrap(), [piece("b")]);
        assert_eq!(database.cpu_ms(&id).await.unwrap(), Some(123), "what all attempts used");
    }
}

both! {
    async fn what_a_repository_uses_is_counted_from_a_moment_on(world) {
        // RT-30
        let database = &world.database;
        let used = async |seconds| database.usage("acme/app", Duration::from_secs(seconds)).await.unwrap();
        let nothing = used(60).await;
        assert_eq!((nothing.builds, nothing.cpu_ms, nothing.duration_ms), (0, 0, 0));
        for (repository, cpu_ms) in [("acme/app", Some(1_000)), ("acme/app", None), ("acme/other", Some(50))] {
            world.trigger(&[request(repository, "c1")]).await;
            let claim = world.claim("one").await;
            database.put_trace(&claim, "{}", &[], cpu_ms).await.unwrap();
            world.pass(2);
            database.finish(claim, Outcome::Failed(reason("step_failed"))).await.unwrap();
        }
        world.trigger(&[request("acme/app", "c1")]).await;
        let all = used(3_600).await;
        assert_eq!((all.builds, all.cpu_ms), (3, 1_000), "{all:?}");
        assert!(all.duration_ms >= 4_000, "{all:?}");
        world.pass(7_200);
        assert_eq!(used(3_600).await.builds, 0);
        assert_eq!(used(100_000).await.builds, 3);
    }
}

both! {
    async fn rules_are_looked_up_by_a_worker_and_expanded_once_at_the_place_of_the_push(world) {
        let database = &world.database;
        let pushed = push(Some("a"), "b");
        assert_eq!(new_builds(database.accept(&pushed, &[], Some(&rules_fetch())).await.unwrap()), []);
        let later = new_builds(database.accept(&push(Some("b"), "c"), &[request("acme/app", "c")], None).await.unwrap());
        assert!(database.deliveries(&DeliveryFilter { limit: 10, ..DeliveryFilter::default() }).await.unwrap()[1].is_pending);
        world.database.cancel(&later[0]).await.unwrap();
        assert!(database.watch_work().wait(Duration::ZERO).await.unwrap());
        let claim = database.claim_rules_fetch("one").await.unwrap().unwrap();
        assert_eq!((&claim.rules_fetch, claim.attempt), (&rules_fetch(), 1));
        assert!(database.claim_rules_fetch("two").await.unwrap().is_none());
        assert!(database.answered_rules_fetches(10).await.unwrap().is_empty());
        let id = claim.id;
        database.finish_rules_fetch(claim, &RulesFetchResult::Text("[[rules]]".into())).await.unwrap();
        let answered = database.answered_rules_fetches(10).await.unwrap();
        assert_eq!(answered, [AnsweredRulesFetch { id, rules_fetch: rules_fetch(), result: RulesFetchResult::Text("[[rules]]".into()) }]);
        let builds = database.expand_rules_fetch(id, &[request("acme/app", "b")], None, &[]).await.unwrap().unwrap();
        assert_eq!(database.expand_rules_fetch(id, &[request("acme/app", "b")], None, &[]).await.unwrap(), None);
        assert!(world.build(&builds[0]).await.sequence < world.build(&later[0]).await.sequence);
        assert_eq!(database.accept(&pushed, &[], Some(&rules_fetch())).await.unwrap(), Accepted::Duplicate(builds));
    }
}

both! {
    async fn a_rules_fetch_whose_workers_die_is_answered_with_that(world) {
        let database = &world.database;
        let id = database.add_rules_fetch(&rules_fetch()).await.unwrap();
        let lost = database.claim_rules_fetch("one").await.unwrap().unwrap();
        world.pass(61);
        database.expire_leases().await.unwrap();
        assert!(matches!(database.finish_rules_fetch(lost, &RulesFetchResult::Missing).await, Err(Error::LeaseLost)));
        for worker in ["two", "three"] {
            database.claim_rules_fetch(worker).await.unwrap().unwrap();
            database.release(worker).await.unwrap();
        }
        let answered = database.answered_rules_fetches(10).await.unwrap();
        assert!(matches!(&answered[0].result, RulesFetchResult::Failed(reason) if reason.code == "crashed_worker"));
        let why = ["no rules".to_owned()];
        assert_eq!(database.expand_rules_fetch(id, &[], Some("rules_unreadable"), &why).await.unwrap(), Some(vec![]));
    }
}

both! {
    async fn deliveries_are_listed_with_what_became_of_them(world) {
        let database = &world.database;
        let builds = new_builds(database.accept(&delivery("1", "one"), &[request("acme/app", "c")], None).await.unwrap());
        let ignored = NewDelivery { ignored: Some("no_rule_matched".into()), explain: vec!["why".into()], ..delivery("2", "two") };
        database.accept(&ignored, &[], None).await.unwrap();
        let list = |filter: DeliveryFilter| {
            let database = database.clone();
            async move { database.deliveries(&DeliveryFilter { limit: 10, ..filter }).await.unwrap() }
        };
        let all = list(DeliveryFilter::default()).await;
        assert_eq!((all.len(), all[0].ignored.as_deref(), all[0].explain.as_slice()), (2, Some("no_rule_matched"), ["why".to_owned()].as_slice()));
        assert_eq!((&all[1].builds, all[1].is_pending), (&builds, false));
        assert_eq!(list(DeliveryFilter { ignored: Some(true), ..DeliveryFilter::default() }).await, all[..1]);
        assert_eq!(list(DeliveryFilter { before: Some(all[0].id), ..DeliveryFilter::default() }).await, all[1..]);
        assert!(list(DeliveryFilter { repository: Some("acme/b".into()), ..DeliveryFilter::default() }).await.is_empty());
        assert_eq!(database.delivery(all[1].id).await.unwrap().as_ref(), Some(&all[1]));
        assert_eq!(database.delivery_body(all[1].id).await.unwrap(), Some(b"one".to_vec()));
        assert_eq!(database.delivery(99).await.unwrap(), None);
    }
}

both! {
    async fn a_worker_query_is_answered_once_and_forgotten_when_nobody_waits(world) {
        let database = &world.database;
        let query = WorkerQuery::Steps(Box::new(request("acme/app", "b")));
        let id = database.ask(&query).await.unwrap();
        assert!(database.watch_work().wait(Duration::ZERO).await.unwrap());
        let claim = database.claim_worker_query().await.unwrap().unwrap();
        assert_eq!((claim.id, &claim.query), (id, &query));
        assert!((WORKER_QUERY_TIMEOUT / 2..=WORKER_QUERY_TIMEOUT).contains(&claim.patience), "{:?}", claim.patience);
        assert!(database.claim_worker_query().await.unwrap().is_none());
        assert!(!database.watch_work().wait(Duration::ZERO).await.unwrap());
        assert_eq!(database.answer_to(id).await.unwrap(), None);
        let answer = Answer::Steps(DryRun { commit: Some("b".into()), ..DryRun::default() });
        database.answer_worker_query(&claim, &answer).await.unwrap();
        assert_eq!(database.answer_to(id).await.unwrap(), Some(answer.clone()));
        database.forget_worker_query(id).await.unwrap();
        database.answer_worker_query(&claim, &answer).await.unwrap();
        assert_eq!(database.answer_to(id).await.unwrap(), None);
        let old = database.ask(&WorkerQuery::Rules(rules_fetch())).await.unwrap();
        world.pass(WORKER_QUERY_TIMEOUT.as_secs());
        assert!(database.claim_worker_query().await.unwrap().is_none(), "nobody waits for it any more");
        assert!(!database.watch_work().wait(Duration::ZERO).await.unwrap());
        assert_eq!(database.answer_to(old).await.unwrap(), None);
    }
}

both! {
    async fn a_comparison_is_read_as_it_was_answered(world) {
        let database = &world.database;
        let builds = world.trigger(&[request("acme/app", "a"), request("acme/app", "b")]).await;
        let query = WorkerQuery::Explain { build: builds[1].clone(), against: builds[0].clone() };
        let id = database.ask(&query).await.unwrap();
        let claim = database.claim_worker_query().await.unwrap().unwrap();
        assert_eq!(claim.query, query);
        let path = ChangedPath { path: "a".into(), change: PathChange::Mode, old: None, new: Some("1".into()) };
        let why = vec![Why::FilesChanged { paths: vec![path], more: 1, commit: None }, Why::EarlierStepChanged { step: 1 }];
        let (stage, instruction) = ("stage-0".to_owned(), "COPY a /".to_owned());
        let step = ExplainedStep { number: 2, stage, instruction, line: 3, was: Was::Executed, why };
        let answer = Answer::Explained(Explained { steps: vec![step], ..Explained::default() });
        database.answer_worker_query(&claim, &answer).await.unwrap();
        assert_eq!(database.answer_to(id).await.unwrap(), Some(answer));
    }
}

both! {
    async fn a_list_of_a_tag_says_where_it_goes_on(world) {
        let tagged = |commit: &str, tag: &str| {
            let mut wanted = request(&format!("acme/{commit}"), commit);
            wanted.spec.tags = vec![format!("127.0.0.1:5000/app:{tag}")];
            wanted
        };
        for commit in ["old", "1", "2", "3", "4", "5", "6"] {
            let tag = if commit == "old" { "v1" } else { "dev1" };
            world.trigger(&[tagged(commit, tag)]).await;
        }
        let commits = |page: &BuildPage| -> Vec<String> {
            page.builds.iter().filter_map(|build| build.commit.clone()).collect()
        };
        let mut filter = BuildFilter { tag: Some("v1".into()), limit: 5, ..Default::default() };
        // Two builds that may have the tag are read at a time, and four for one list.
        let first = world.database.page_of_tag(&filter, "v1", 2, 2).await.unwrap();
        assert_eq!(commits(&first), Vec::<String>::new());
        filter.before = first.next;
        assert!(filter.before.is_some(), "older builds were not read");
        let second = world.database.page_of_tag(&filter, "v1", 2, 2).await.unwrap();
        assert_eq!((commits(&second), second.next), (vec!["old".to_owned()], None));
        let mut filter = BuildFilter { tag: Some("dev1".into()), limit: 4, ..Default::default() };
        let first = world.database.page_of_builds(&filter).await.unwrap();
        assert_eq!(commits(&first), ["6", "5", "4", "3"]);
        filter.before = first.next;
        let second = world.database.page_of_builds(&filter).await.unwrap();
        assert_eq!((commits(&second), second.next), (vec!["2".to_owned(), "1".to_owned()], None));
    }
}

both! {
    async fn schedules_of_an_older_file_do_not_come_back(world) {
        let database = &world.database;
        let found = |id: i64| AnsweredRulesFetch { id, rules_fetch: rules_fetch(), result: RulesFetchResult::Missing };
        let at = |schedule: &str| vec![OwnSchedule { rule: "main".into(), schedule: schedule.into() }];
        database.keep_own_schedules(&found(1), &[]).await.unwrap();
        assert_eq!(database.own_schedules("acme/app").await.unwrap(), []);
        database.keep_own_schedules(&found(3), &at("0 3 * * *")).await.unwrap();
        database.keep_own_schedules(&found(2), &at("0 2 * * *")).await.unwrap();
        let kept = [("refs/heads/main".to_owned(), at("0 3 * * *"))];
        assert_eq!(database.own_schedules("acme/app").await.unwrap(), kept);
        database.keep_own_schedules(&found(4), &[]).await.unwrap();
        assert_eq!(database.own_schedules("acme/app").await.unwrap(), [("refs/heads/main".to_owned(), vec![])]);
        assert!(database.begin_own_schedule(&rules_fetch(), "main", 5).await.unwrap());
        assert!(!database.begin_own_schedule(&rules_fetch(), "main", 5).await.unwrap());
        assert!(database.claim_rules_fetch("one").await.unwrap().is_some());
        assert!(database.claim_rules_fetch("one").await.unwrap().is_none());
    }
}

both! {
    // SEC-M4
    async fn values_of_variables_and_urls_of_webhooks_are_sealed_at_rest(world) {
        let canary = "a-value-that-nobody-is-to-read";
        let mut asked = request("acme/app", "c1");
        asked.spec.build_args.insert("TOKEN".into(), canary.into());
        // Stored before there was a key.
        let before = world.trigger(std::slice::from_ref(&asked)).await.remove(0);
        world.database.put_repository("acme/app", &format!("{{\"url\":\"{canary}\"}}"), None).await.unwrap();
        let database = world.database.clone().with_key(SecretKey::new([7; 32]));
        database.seal_stored().await.unwrap();
        let Accepted::Duplicate(known) = database.trigger_once(std::slice::from_ref(&asked)).await.unwrap() else { panic!() };
        assert_eq!(known, std::slice::from_ref(&before), "equal requests are found though they are sealed");
        asked.spec.build_args.insert("TOKEN".into(), format!("{canary}2"));
        let after = new_builds(database.trigger_once(std::slice::from_ref(&asked)).await.unwrap()).remove(0);
        for text in ["SELECT spec_json FROM builds", "SELECT document_json FROM repositories"] {
            for row in crate::sql::statement::sql("reading", text).all(database.read()).await.unwrap() {
                let stored: String = row.only();
                assert!(!stored.contains(canary) && stored.contains("sealed:"), "{stored}");
            }
        }
        assert_eq!(database.build(&before).await.unwrap().unwrap().request.spec.build_args["TOKEN"], canary);
        let read = database.build(&after).await.unwrap().unwrap().request.spec;
        assert!(!read.is_sealed() && read.build_args["TOKEN"].ends_with('2'));
        assert!(database.repository("acme/app").await.unwrap().unwrap().document.contains(canary));
        if let Some(path) = world.url.strip_prefix("sqlite://") {
            for file in [path.to_owned(), format!("{path}-wal")] {
                let bytes = std::fs::read(&file).unwrap_or_default();
                let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
                assert!(!found, "{file} still holds what was sealed");
            }
        }
    }
}

both! {
    async fn a_session_is_good_until_it_ends(world) {
        let (database, hash) = (&world.database, [7; 32]);
        let of = |hash, span_ms| {
            let (owner, address) = (SessionOwner::Token(hash), String::new());
            NewSession { owner, span_ms, address, browser: "" }
        };
        let id = database.begin_session(&of(hash, 60_000)).await.unwrap();
        let other = database.begin_session(&of([8; 32], 60_000)).await.unwrap();
        let expired = database.begin_session(&of(hash, 0)).await.unwrap();
        assert!(id != other && id.len() == 64);
        assert_eq!(database.owner_of_session(&id).await.unwrap(), Some(SessionOwner::Token(hash)));
        assert_eq!(database.owner_of_session(&expired).await.unwrap(), None);
        assert_eq!(database.owner_of_session("").await.unwrap(), None);
        database.end_session(&id).await.unwrap();
        assert_eq!(database.owner_of_session(&id).await.unwrap(), None);
        assert_eq!(database.owner_of_session(&other).await.unwrap(), Some(SessionOwner::Token([8; 32])));
    }
}
