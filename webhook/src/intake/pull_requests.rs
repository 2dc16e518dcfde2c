//! The decision about a pull request: builds of its newest commit that are never pushed, by the rules of the branch that it
//! wants to change.

use crate::configuration::document::PullRequests;
use crate::configuration::settings::Repository;
use crate::forges::Pull;
use crate::intake::build_requests::{BuildTrigger, Rules, first_line, own_images};
use crate::intake::decision::Decision;
use database::{BuildRequest, NewRulesFetch, Policy, PullImage, PullRequest, PushedRef, Trigger};

/// Applies the rules to a pull request.
pub(crate) fn of(repository: &Repository, pull: &Pull, trigger: Trigger) -> Decision {
    let (number, git_ref) = (pull.pull.number, &pull.pull.git_ref);
    if !pull.is_open {
        let ignored = Decision::ignored("pull_request_closed", format!("pull request {number} was closed"));
        return Decision { closed: Some(git_ref.clone()), ..ignored };
    }
    match (repository.pull_requests, pull.pull.is_fork) {
        (PullRequests::Off, _) => {
            let why = "nothing is built for pull requests: `pull_requests` of the repository is \"off\"";
            return Decision::ignored("pull_requests_off", why.to_owned());
        }
        (PullRequests::Own, true) => {
            let why = format!("pull request {number} is from a fork: `pull_requests` of the repository is \"own\"");
            return Decision::ignored("pull_request_of_fork", why);
        }
        (PullRequests::Own, false) | (PullRequests::All, _) => {}
    }
    if pull.pull.full_commit().is_none() && pull.pull.source.is_none() {
        let why = format!(
            "the commits of pull request {number} are in another repository: the forge has them in no ref of this one, or does not \
             say which they are"
        );
        return Decision::ignored("pull_request_of_fork", why);
    }
    let (before, after) = (pull.before.clone(), pull.pull.commit.clone());
    let push = Some(PushedRef { git_ref: git_ref.clone(), before, after });
    let target = format!("refs/heads/{}", pull.pull.target);
    if let Some(own) = &repository.own_rules {
        // The rules are those of the branch: what a pull request says of itself counts once somebody has merged it.
        let rules_fetch = NewRulesFetch {
            repository: repository.name.clone(),
            clone_url: repository.clone_url.clone(),
            git_ref: target,
            commit: pull.target_commit.clone(),
            commit_message: first_line(&pull.title),
            trigger,
            path: own.path.clone(),
            rule: None,
        };
        return Decision { rules_fetch: Some(rules_fetch), push, ..Decision::default() };
    }
    let asked = BuildTrigger {
        git_ref: &target,
        commit: pull.pull.full_commit(),
        message: &pull.title,
        default_branch: pull.default_branch.as_deref(),
        trigger,
    };
    let requested = Rules::of(repository).requests(&asked);
    let ignored = requested.builds.is_empty().then_some("no_rule_matched");
    Decision { builds: requested.builds, explain: requested.explain, push, ignored, ..Decision::default() }
}

/// Makes of a build of the target branch one of the pull request: never pushed, and from a fork without secrets, with a
/// cache of its own, and only if somebody approves it.
pub(crate) fn restrict(request: &mut BuildRequest, pull: &PullRequest, repository: &Repository) {
    let spec = &mut request.spec;
    spec.git_ref.clone_from(&pull.git_ref);
    spec.commit = pull.full_commit().map(str::to_owned);
    if spec.commit.is_none() {
        spec.options.fetch_ref.clone_from(&pull.source);
    }
    (spec.push, spec.tags) = (false, Vec::new());
    spec.options.policy = Policy::LatestOnly;
    spec.options.hub_tests &= repository.autotest.tests(pull.is_fork);
    if pull.is_fork {
        spec.options.secrets.clear();
        spec.options.images = Some(own_images(repository));
        spec.options.trusted = false;
        spec.options.needs_approval = repository.pull_requests_need_approval;
    }
}

/// Takes note of the pull request whose commit it is: `version` is that of an image of the branch.
pub(crate) fn name(request: &mut BuildRequest, pull: &PullRequest, repository: &Repository, version: Option<String>) {
    let may_push = request.spec.options.trusted || request.spec.options.needs_approval;
    request.spec.options.pull = Some(Box::new(PullImage {
        number: pull.number,
        target: pull.target.clone(),
        version: version.filter(|_| !pull.is_fork),
        tag_days: repository.pull_request_tag_days.filter(|_| may_push).map(i64::from),
        comment: repository.pull_request_comments,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(settings: &str) -> Repository {
        let text = format!(
            r#"{{"name":"team/app","clone_url":"https://x/y.git","image":"r.example.com/team/app",{settings}"rules":[
            {{"branch":"main","autobuild":false,"policy":"serial","secrets":["npm"],"paths":["src/**"],"env":{{"KEY":"hush"}},
              "build_args":{{"A":"{{branch}} {{sha7}}","B":"{{env.KEY}}"}}}},{{"tag":"/.*/"}}]}}"#
        );
        let document = crate::configuration::document::from_json(text.as_bytes()).unwrap();
        crate::configuration::document::compile(&document, Vec::new()).unwrap()
    }

    fn follow(settings: &str, is_fork: bool) -> Decision {
        let pull = PullRequest {
            number: 7,
            target: "main".to_owned(),
            git_ref: "refs/pull/7/head".to_owned(),
            commit: "1".repeat(40),
            source: None,
            is_fork,
        };
        let trigger =
            Trigger::PullRequest { delivery: "d".to_owned(), by: "me".to_owned(), pull: Box::new(pull.clone()) };
        let (title, target_commit) = ("A title".to_owned(), Some("2".repeat(40)));
        let pull = Pull { pull, is_open: true, title, target_commit, ..Pull::default() };
        of(&repository(settings), &pull, trigger)
    }

    #[test]
    fn a_pull_request_is_built_by_the_rules_of_its_target_and_never_pushed() {
        let following = follow(r#""pull_requests":"own","#, false);
        let spec = &following.builds[0].spec;
        assert_eq!(following.builds.len(), 1, "autobuild is about pushes; a rule for tags is for no branch");
        assert_eq!((spec.git_ref.as_str(), spec.commit.clone()), ("refs/pull/7/head", Some("1".repeat(40))));
        assert!(!spec.push && spec.tags.is_empty());
        assert_eq!((&*spec.build_args["A"], &*spec.build_args["B"]), ("main 1111111", "hush"));
        let options = &spec.options;
        assert_eq!((options.policy, options.secrets.as_slice()), (Policy::LatestOnly, ["npm".to_owned()].as_slice()));
        assert!(options.trusted && !options.needs_approval);
        for (settings, own, of_fork) in [
            (r#""pull_requests":"all","#, (false, false), (false, false)),
            (r#""pull_requests":"all","hub_hooks":true,"#, (true, true), (true, true)),
            (r#""pull_requests":"all","hub_hooks":true,"autotest":"SOURCE_ONLY","#, (true, true), (true, false)),
            (r#""pull_requests":"all","hub_hooks":true,"autotest":"off","#, (true, false), (true, false)),
        ] {
            let hub = |is_fork| {
                let options = &follow(settings, is_fork).builds[0].spec.options;
                (options.hub_hooks, options.hub_tests)
            };
            assert_eq!((hub(false), hub(true)), (own, of_fork), "{settings}");
        }
        assert_eq!(options.path_filter, database::PathFilter::Off);
        assert_eq!(following.push.unwrap().after, "1".repeat(40));
    }

    #[test]
    fn a_fork_gets_neither_secrets_nor_variables_and_waits() {
        // WH-31, SEC-05
        let following = follow(r#""may_read":["r.example.com/other/**"],"pull_requests":"all","#, true);
        let spec = &following.builds[0].spec;
        assert_eq!(spec.build_args.iter().collect::<Vec<_>>(), [(&"A".to_owned(), &"main 1111111".to_owned())]);
        assert!(!serde_json::to_string(&following.builds[0]).unwrap().contains("hush"));
        assert!(spec.options.warnings[0].contains("`B` is left out"), "{:?}", spec.options.warnings);
        assert!(spec.options.pull.as_ref().is_some_and(|pull| pull.version.is_none()));
        // SEC-M1
        let own = ["r.example.com/team/app", "r.example.com/team/app/**"].map(str::to_owned);
        assert_eq!(spec.options.images.as_deref(), Some(own.as_slice()));
        assert!(spec.options.secrets.is_empty() && !spec.options.trusted && spec.options.needs_approval && !spec.push);
        let following = follow(r#""pull_requests":"all","pull_requests_need_approval":false,"#, true);
        let options = &following.builds[0].spec.options;
        assert!(!options.trusted && !options.needs_approval, "a build that needs no approval is still untrusted");
    }

    #[test]
    fn its_own_tag_is_none_of_the_image_s() {
        let tags = |settings: &str, is_fork| {
            let spec = follow(settings, is_fork).builds.remove(0).spec;
            (spec.push, spec.tags)
        };
        let own = r#""pull_requests":"all","pull_request_tag_days":7,"#;
        let pushed = (true, vec!["r.example.com/team/app:pr-7".to_owned()]);
        assert_eq!(
            (tags(own, false), tags(own, true)),
            (pushed.clone(), pushed),
            "a fork's is pushed once it is approved"
        );
        let unasked = format!("{own}\"pull_requests_need_approval\":false,");
        assert_eq!(tags(&unasked, true), (false, Vec::new()), "nobody approves it");
        let options = follow(own, false).builds.remove(0).spec.options;
        let pull = options.pull.unwrap();
        assert_eq!((pull.version.as_deref(), pull.tag_days, pull.comment), (Some("latest"), Some(7), false));
        for wrong in ["0", "366"] {
            let text = format!(
                r#"{{"name":"a/b","clone_url":"https://x/y.git","image":"r.example.com/a/b","pull_request_tag_days":{wrong}}}"#
            );
            let document = crate::configuration::document::from_json(text.as_bytes()).unwrap();
            let problem = crate::configuration::document::compile(&document, Vec::new()).unwrap_err();
            assert!(problem.contains("from 1 to 365"), "{problem}");
        }
    }

    #[test]
    fn what_is_not_wanted_is_told() {
        for (settings, is_fork, expected) in [
            ("", false, "pull_requests_off"),
            (r#""pull_requests":"off","#, true, "pull_requests_off"),
            (r#""pull_requests":"own","#, true, "pull_request_of_fork"),
            (r#""pull_requests":"SOURCE_ONLY","#, true, "pull_request_of_fork"),
        ] {
            let following = follow(settings, is_fork);
            assert_eq!((following.ignored, following.builds.len()), (Some(expected), 0), "{settings}");
            assert!(following.push.is_none() && following.explain.len() == 1);
        }
        let text =
            r#"{"name":"a/b","clone_url":"https://x/y.git","image":"r.example.com/a/b","pull_requests":"forks"}"#;
        let error = crate::configuration::document::from_json::<crate::configuration::document::RepositoryDocument>(
            text.as_bytes(),
        )
        .unwrap_err();
        assert!(error.problem.contains("`own`") && error.problem.contains("`all`"), "{error}");
    }

    #[test]
    fn a_repository_s_own_rules_are_those_of_the_target() {
        let following = follow(r#""pull_requests":"all","own_rules":{},"#, true);
        let rules_fetch = following.rules_fetch.unwrap();
        assert_eq!((rules_fetch.git_ref.as_str(), rules_fetch.commit), ("refs/heads/main", Some("2".repeat(40))));
    }
}
