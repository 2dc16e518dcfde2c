//! Templates of tags and build arguments: `{sourceref}`, `{\1}`, `{sha7}`, `{default_branch?latest}`, `{branch|slug}`.
//!
//! Read once, where the rule is read; what is known only later (a build's number, the commit of a bare ref) leaves a mark
//! that `database::marks` fills in.

use super::pushed::{Pushed, RefKind};
use super::version::Version;
use database::marks;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::macros::format_description;

/// The variables and conditions, for error messages.
const KNOWN: &str = "{sourceref}, {\\1} to {\\9}, {branch}, {tag}, {sha}, {sha7}, {date}, {timestamp}, {number}, \
                     {semver}, {semver.major}, {semver.minor}, {semver.patch}, {semver.pre}, {semver.*}, \
                     {default_branch}, {env.NAME}, {default_branch?text}, {branch?text} and {tag?text}";

/// Longest text that a template may stand for: more fits neither into a build argument nor into a label.
const MAX_TEXT: usize = 128 * 1024;

/// A text with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable, Vec<Filter>),
    /// `{condition?text}`: the text where the condition holds.
    When(Condition, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Variable {
    SourceRef,
    Group(usize),
    Branch,
    Tag,
    Sha,
    Sha7,
    Date,
    Timestamp,
    Number,
    Semver(SemverPart),
    DefaultBranch,
    Env(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SemverPart {
    Full,
    Major,
    Minor,
    Patch,
    Pre,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    Slug,
    Lower,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    DefaultBranch,
    Branch,
    Tag,
}

/// The values of variables.
pub(crate) struct Values<'v> {
    /// The ref and commit.
    pub pushed: &'v Pushed<'v>,
    /// The texts that the groups of the rule's expression matched.
    pub groups: &'v [String],
    /// The rule's `env`.
    pub env: &'v BTreeMap<String, String>,
}

impl Template {
    /// Reads a template; the error says what is wrong with it and what there is.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(position) = rest.find(['{', '}']) {
            plain.push_str(&rest[..position]);
            let here = &rest[position..];
            if here.starts_with("{{") || here.starts_with("}}") {
                plain.push_str(&here[..1]);
                rest = &here[2..];
                continue;
            }
            let close = here.find('}').filter(|close| *close > 0);
            let close = close.ok_or_else(|| {
                format!("`{text}`: a brace stands alone; a brace that means itself is written twice: {{{{ or }}}}")
            })?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part(&here[1..close]).map_err(|problem| format!("`{text}`: {problem}"))?);
            rest = &here[close + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        let several = |part: &&Part| matches!(part, Part::Variable(Variable::Semver(SemverPart::All), _));
        if parts.iter().filter(several).count() > 1 {
            // Each one would multiply the texts.
            return Err(format!("`{text}`: {{semver.*}} stands for several texts and may be named once"));
        }
        Ok(Template { text: text.to_owned(), parts })
    }

    /// Returns the template as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Tells whether every push gets the same text from the same ref.
    pub(crate) fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| match part {
            Part::Variable(variable, _) => !matches!(
                variable,
                Variable::Sha | Variable::Sha7 | Variable::Date | Variable::Timestamp | Variable::Number
            ),
            _ => true,
        })
    }

    /// Returns the numbers of the groups that it names.
    pub(crate) fn groups(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(Variable::Group(number), _) => Some(*number),
            _ => None,
        })
    }

    /// Tells whether it says what a variable of the rule's `env` is.
    pub(crate) fn names_env(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable(Variable::Env(_), _)))
    }

    /// Returns the texts that the template stands for: one, or several if it names `{semver.*}`.
    pub(crate) fn expand(&self, values: &Values<'_>) -> Result<Vec<String>, String> {
        let mut texts = vec![String::new()];
        for part in &self.parts {
            let choices = match part {
                Part::Text(text) => vec![text.clone()],
                Part::When(condition, text) if condition.holds(values) => vec![text.clone()],
                Part::When(..) => vec![String::new()],
                Part::Variable(variable, filters) => {
                    let found = variable.values(values)?;
                    found
                        .into_iter()
                        .map(|text| filters.iter().fold(text, |text, filter| filter.apply(&text)))
                        .collect()
                }
            };
            let longest = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or_default();
            if longest(&texts) + longest(&choices) > MAX_TEXT {
                return Err(format!("it stands for more than {MAX_TEXT} bytes"));
            }
            texts = choices.iter().flat_map(|choice| texts.iter().map(move |text| format!("{text}{choice}"))).collect();
        }
        Ok(texts)
    }
}

fn part(inside: &str) -> Result<Part, String> {
    if let Some((name, text)) = inside.split_once('?') {
        let condition = match name {
            "default_branch" => Condition::DefaultBranch,
            "branch" => Condition::Branch,
            "tag" => Condition::Tag,
            _ => return Err(format!("`{{{name}?…}}` is unknown; there are {KNOWN}")),
        };
        return Ok(Part::When(condition, text.to_owned()));
    }
    let mut names = inside.split('|');
    let name = names.next().unwrap_or_default();
    let variable = variable(name).ok_or_else(|| format!("`{{{name}}}` is unknown; there are {KNOWN}"))?;
    let filters = names.map(|filter| match filter {
        "slug" => Ok(Filter::Slug),
        "lower" => Ok(Filter::Lower),
        _ => Err(format!("the filter `|{filter}` is unknown; there are |slug and |lower")),
    });
    Ok(Part::Variable(variable, filters.collect::<Result<_, _>>()?))
}

fn variable(name: &str) -> Option<Variable> {
    if let Some(digit) = name.strip_prefix('\\') {
        let digit = matches!(digit.as_bytes(), [b'1'..=b'9']).then(|| digit.parse().ok()).flatten();
        return digit.map(Variable::Group);
    }
    if let Some(key) = name.strip_prefix("env.").filter(|key| !key.is_empty()) {
        return Some(Variable::Env(key.to_owned()));
    }
    Some(match name {
        "sourceref" => Variable::SourceRef,
        "branch" => Variable::Branch,
        "tag" => Variable::Tag,
        "sha" => Variable::Sha,
        "sha7" => Variable::Sha7,
        "date" => Variable::Date,
        "timestamp" => Variable::Timestamp,
        "number" => Variable::Number,
        "semver" => Variable::Semver(SemverPart::Full),
        "semver.major" => Variable::Semver(SemverPart::Major),
        "semver.minor" => Variable::Semver(SemverPart::Minor),
        "semver.patch" => Variable::Semver(SemverPart::Patch),
        "semver.pre" => Variable::Semver(SemverPart::Pre),
        "semver.*" => Variable::Semver(SemverPart::All),
        "default_branch" => Variable::DefaultBranch,
        _ => return None,
    })
}

impl Condition {
    fn holds(self, values: &Values<'_>) -> bool {
        let pushed = values.pushed;
        match self {
            Condition::Branch => pushed.kind == RefKind::Branch,
            Condition::Tag => pushed.kind == RefKind::Tag,
            Condition::DefaultBranch => pushed.is_default_branch(),
        }
    }
}

impl Variable {
    fn values(&self, values: &Values<'_>) -> Result<Vec<String>, String> {
        let pushed = values.pushed;
        let of_kind = |kind| if pushed.kind == kind { pushed.name.to_owned() } else { String::new() };
        let commit = |mark: char, length: usize| match pushed.commit {
            Some(commit) => commit.chars().take(length).collect(),
            None => mark.to_string(),
        };
        let text = match self {
            Variable::SourceRef => pushed.name.to_owned(),
            Variable::Group(number) => values.groups.get(number - 1).cloned().unwrap_or_default(),
            Variable::Branch => of_kind(RefKind::Branch),
            Variable::Tag => of_kind(RefKind::Tag),
            Variable::Sha => return Ok(vec![commit(marks::COMMIT, usize::MAX)]),
            Variable::Sha7 => return Ok(vec![commit(marks::COMMIT7, 7)]),
            Variable::Date => date(pushed.at),
            Variable::Timestamp => pushed.at.unix_timestamp().to_string(),
            Variable::Number => return Ok(vec![marks::NUMBER.to_string()]),
            Variable::DefaultBranch => pushed.default_branch.unwrap_or_default().to_owned(),
            Variable::Env(key) => values.env.get(key).cloned().unwrap_or_default(),
            Variable::Semver(part) => return Ok(part.of(pushed)?.iter().map(|text| marks::without(text)).collect()),
        };
        Ok(vec![marks::without(&text)])
    }
}

impl SemverPart {
    fn of(self, pushed: &Pushed<'_>) -> Result<Vec<String>, String> {
        let version = Version::parse(pushed.name)
            .ok_or_else(|| format!("`{}` is not a semantic version such as 1.2.3 or v1.2.3", pushed.name))?;
        Ok(match self {
            SemverPart::All => version.all(),
            SemverPart::Full => vec![version.full()],
            SemverPart::Major => vec![version.major],
            SemverPart::Minor => vec![version.minor],
            SemverPart::Patch => vec![version.patch],
            SemverPart::Pre => vec![version.pre],
        })
    }
}

impl Filter {
    fn apply(self, text: &str) -> String {
        match self {
            Filter::Lower => text.to_lowercase(),
            Filter::Slug => slug(text),
        }
    }
}

/// Returns a text in lower case, every run of other characters than letters, digits and marks as one `-`.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for char in text.to_lowercase().chars() {
        if char.is_ascii_alphanumeric() || marks::is_mark(char) {
            slug.push(char);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches('-').to_owned()
}

fn date(at: OffsetDateTime) -> String {
    at.format(format_description!("[year][month][day]")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(template: &str, git_ref: &str) -> Result<Vec<String>, String> {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let pushed =
            Pushed::new(git_ref, Some(commit)).unwrap().on_default(Some("main")).at(OffsetDateTime::UNIX_EPOCH);
        let env = BTreeMap::from([("FLAVOUR".to_owned(), "slim".to_owned())]);
        let values = Values { pushed: &pushed, groups: &["one".to_owned()], env: &env };
        Template::parse(template)?.expand(&values)
    }

    #[test]
    fn variables_filters_and_conditions_are_expanded() {
        let cases = [
            ("{branch}-{sha7}", "refs/heads/main", "main-0123456"),
            ("{sha}", "refs/heads/main", "0123456789abcdef0123456789abcdef01234567"),
            ("{date}.{timestamp}", "refs/heads/main", "19700101.0"),
            ("{default_branch?latest}", "refs/heads/main", "latest"),
            ("{default_branch?latest}", "refs/heads/other", ""),
            ("{branch?b}{tag?t}", "refs/tags/x", "t"),
            ("{branch|slug}", "refs/heads/Feature/Ä b--c/", "feature-b-c"),
            ("{branch|lower}", "refs/heads/ABC", "abc"),
            ("{\\1}{\\2}-{env.FLAVOUR}", "refs/heads/main", "one-slim"),
            ("{{x}} {tag}", "refs/tags/1", "{x} 1"),
            ("{semver.major}.{semver.minor}", "refs/tags/v1.2.3", "1.2"),
            ("{semver}", "refs/tags/v1.2.3-rc.1", "1.2.3-rc.1"),
        ];
        for (template, git_ref, expected) in cases {
            assert_eq!(expanded(template, git_ref).unwrap(), [expected], "{template}");
        }
        assert_eq!(expanded("r{semver.*}-x", "refs/tags/1.2.3").unwrap(), ["r1.2.3-x", "r1.2-x", "r1-x"]);
        assert!(expanded("{semver.major}", "refs/heads/main").is_err());
    }

    #[test]
    fn what_is_not_known_yet_leaves_a_mark_that_no_ref_can_forge() {
        let forged = format!("refs/heads/a{}b", marks::NUMBER);
        assert_eq!(expanded("{branch}", &forged).unwrap(), ["ab"]);
        assert_eq!(expanded("{number}", &forged).unwrap(), [marks::NUMBER.to_string()]);
        assert!(!Template::parse("{sha7}").unwrap().is_fixed() && Template::parse("{branch}").unwrap().is_fixed());
    }

    #[test]
    fn a_template_that_grows_without_bounds_is_refused() {
        let (long, short) = ("{env.FLAVOUR}".repeat(MAX_TEXT / 4 + 1), "{env.FLAVOUR}".repeat(MAX_TEXT / 4));
        assert!(expanded(&long, "refs/heads/main").unwrap_err().contains("more than"));
        assert_eq!(expanded(&short, "refs/heads/main").unwrap()[0].len(), MAX_TEXT);
    }

    #[test]
    fn mistakes_are_named() {
        for bad in
            ["{nosuch}", "{", "a}", "{\\0}", "{\\10}", "{branch|upper}", "{sha?x}", "$1{", "{}", "{semver.*}{semver.*}"]
        {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
