//! Rights: what somebody may do in which repositories.

use registry_client::path_matches;

/// Something that is done in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Reading.
    Pull,
    /// Adding blobs, manifests and tags.
    Push,
    /// Removing them.
    Delete,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 3] = [Action::Pull, Action::Push, Action::Delete];

    /// Returns the word for it in scopes and rights.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Pull => "pull",
            Action::Push => "push",
            Action::Delete => "delete",
        }
    }
}

/// Several actions in the repositories that a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Path of repositories, with `*` for a part of it and `**` for any number of parts.
    pub pattern: String,
    /// The actions allowed there.
    pub actions: Vec<Action>,
    /// Whether it is everybody's.
    pub is_everybodys: bool,
}

impl Grant {
    /// Returns a grant from the words for its actions; words that are not known grant nothing.
    pub fn new(pattern: &str, words: &str) -> Self {
        let words: Vec<&str> = words.split(',').map(str::trim).collect();
        let is_named = |action: &Action| words.iter().any(|word| *word == "*" || *word == action.as_str());
        Grant {
            pattern: pattern.to_owned(),
            actions: Action::ALL.into_iter().filter(is_named).collect(),
            is_everybodys: false,
        }
    }

    fn allows(&self, action: Action, repository: &str) -> bool {
        self.actions.contains(&action) && path_matches(&self.pattern, repository)
    }
}

/// The sender of a request, with the rights they have.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The account; empty if nobody logged in.
    pub name: String,
    /// Ties tokens to the password that the account has at this moment; empty if nobody logged in.
    pub login: String,
    /// The address that the request came from.
    pub address: String,
    /// Whether the request brought a login or a token.
    pub has_credentials: bool,
    /// Whether all may be done.
    pub is_all: bool,
    /// The rights otherwise.
    pub grants: Vec<Grant>,
    /// The scope of the access token that was sent: nothing else may be done with it.
    pub scope: Option<Scope>,
}

/// The scope of an access token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Repositories and actions.
    pub grants: Vec<Grant>,
    /// Whether it is for the list of repositories, too.
    pub has_catalog: bool,
}

impl Caller {
    /// Tells whether an action is allowed.
    pub fn may(&self, action: Action, repository: &str) -> bool {
        let is_in_scope = match &self.scope {
            Some(scope) => scope.grants.iter().any(|grant| grant.allows(action, repository)),
            None => true,
        };
        is_in_scope && self.is_granted(action, repository)
    }

    /// Tells whether an action is allowed in a repository that the request, and so the token, may name otherwise.
    pub fn may_as(&self, action: Action, repository: &str, asked: &str) -> bool {
        let named = |scope: &Scope| scope.grants.iter().any(|grant| grant.allows(action, asked));
        self.may(action, repository) || (self.is_granted(action, repository) && self.scope.as_ref().is_some_and(named))
    }

    /// Tells whether a repository may be read by a right that is the account's own, and not everybody's.
    pub fn is_named_for(&self, repository: &str) -> bool {
        let own = |grant: &Grant| !grant.is_everybodys && grant.allows(Action::Pull, repository);
        self.is_all || (!self.name.is_empty() && self.grants.iter().any(own))
    }

    /// Tells whether an action would be allowed with the right token.
    pub fn is_granted(&self, action: Action, repository: &str) -> bool {
        self.is_all || self.grants.iter().any(|grant| grant.allows(action, repository))
    }

    /// Tells whether the list of all repositories that may be read is to be had.
    pub fn may_list(&self) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.has_catalog)
    }

    /// Tells whether a repository stands in lists.
    pub fn finds(&self, repository: &str) -> bool {
        self.may(Action::Pull, repository) || (self.may_list() && self.is_granted(Action::Pull, repository))
    }

    /// Tells whether anything at all may be read.
    pub fn may_read_something(&self) -> bool {
        self.is_all || !self.name.is_empty() || !self.grants.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_what_a_grant_allows_and_its_token_is_for() {
        let grants = vec![Grant::new("team/*", "pull,push"), Grant::new("team/app", "delete"), Grant::new("x/**", "*")];
        let mut caller = Caller { grants, ..Caller::default() };
        assert!(caller.may(Action::Push, "team/app") && caller.may(Action::Delete, "team/app"));
        assert!(caller.may(Action::Delete, "x/y/z"));
        assert!(!caller.may(Action::Delete, "team/web") && !caller.may(Action::Pull, "team/a/b"));
        assert!(!caller.may(Action::Pull, "other/app"));
        let scope = |pattern: &str, has_catalog| Scope { grants: vec![Grant::new(pattern, "pull")], has_catalog };
        caller.scope = Some(scope("team/app", false));
        assert!(caller.may(Action::Pull, "team/app") && !caller.may(Action::Push, "team/app"));
        assert!(caller.is_granted(Action::Push, "team/app"));
        assert!(caller.finds("team/app") && !caller.finds("team/web"));
        caller.scope = Some(scope("other/app", true));
        assert!(!caller.may(Action::Pull, "other/app"), "a token gives no rights of its own");
        assert!(caller.finds("team/web") && !caller.may(Action::Pull, "team/web") && !caller.finds("other/app"));
    }
}
