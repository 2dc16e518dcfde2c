//! `--chmod`: an octal mode, or changes as `chmod` takes them (`u+rwX,go=r`).

use super::CopyError;

/// A mode, or changes to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chmod {
    /// This mode for files and directories alike.
    Exact(u32),
    /// These changes, in order.
    Changes(Vec<Change>),
}

/// One clause: whose bits, how, which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    who: u32,
    operator: char,
    permissions: String,
}

const USER: u32 = 0o4700;
const GROUP: u32 = 0o2070;
const OTHER: u32 = 0o1007;

impl Chmod {
    /// Reads the value of the flag.
    pub fn parse(text: &str) -> Result<Self, CopyError> {
        let bad = || CopyError::BadChmod(text.to_owned());
        if text.is_empty() {
            return Err(bad());
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).map_err(|_| bad())?;
            return if mode <= 0o7777 { Ok(Chmod::Exact(mode)) } else { Err(bad()) };
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            clause_changes(clause, &mut changes).ok_or_else(bad)?;
        }
        Ok(Chmod::Changes(changes))
    }

    /// Returns the mode that `mode` becomes.
    pub fn apply(&self, mode: u32, directory: bool) -> u32 {
        match self {
            Chmod::Exact(exact) => *exact,
            Chmod::Changes(changes) => changes.iter().fold(mode, |mode, change| change.apply(mode, directory)),
        }
    }

    /// Returns the mode of directories that have to be made on the way.
    pub fn for_new_directory(&self) -> u32 {
        match self {
            Chmod::Exact(exact) => *exact,
            Chmod::Changes(_) => 0o755,
        }
    }
}

fn clause_changes(clause: &str, changes: &mut Vec<Change>) -> Option<()> {
    let operators = clause.find(['+', '-', '='])?;
    let mut who = 0;
    for letter in clause[..operators].chars() {
        who |= match letter {
            'u' => USER,
            'g' => GROUP,
            'o' => OTHER,
            'a' => USER | GROUP | OTHER,
            _ => return None,
        };
    }
    if who == 0 {
        who = USER | GROUP | OTHER;
    }
    let mut rest = &clause[operators..];
    while let Some(operator) = rest.chars().next() {
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
        let permissions = &rest[1..end];
        if !permissions.chars().all(|letter| "rwxXstugo".contains(letter)) {
            return None;
        }
        changes.push(Change { who, operator, permissions: permissions.to_owned() });
        rest = &rest[end..];
    }
    Some(())
}

impl Change {
    fn apply(&self, mode: u32, directory: bool) -> u32 {
        let mut bits = 0;
        for letter in self.permissions.chars() {
            bits |= match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if directory || mode & 0o111 != 0 => 0o111,
                's' => 0o6000,
                't' => 0o1000,
                'u' => copied(mode >> 6),
                'g' => copied(mode >> 3),
                'o' => copied(mode),
                _ => 0,
            };
        }
        // The sticky bit belongs to nobody in particular.
        let who = if self.permissions.contains('t') { self.who | 0o1000 } else { self.who };
        let bits = bits & who;
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => mode & !(self.who & if directory { 0o777 } else { 0o7777 }) | bits,
        }
    }
}

/// Spreads three bits to user, group and others.
fn copied(bits: u32) -> u32 {
    (bits & 7) * 0o111
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, mode: u32, directory: bool) -> u32 {
        Chmod::parse(text).unwrap().apply(mode, directory)
    }

    #[test]
    fn changes_are_applied_as_chmod_does() {
        assert_eq!(applied("u+rwX,go=r", 0o600, false), 0o644);
        assert_eq!(applied("u+rwX,go=rX", 0o600, true), 0o755);
        assert_eq!(applied("go-w", 0o666, false), 0o644);
        assert_eq!(applied("g=u", 0o750, false), 0o770);
        assert_eq!(applied("+x", 0o644, false), 0o755);
        assert_eq!(applied("u+s,+t", 0o755, false), 0o5755);
        assert_eq!(applied("a=r", 0o777, false), 0o444);
        assert_eq!(applied("4755", 0o644, false), 0o4755);
    }

    #[test]
    fn other_values_are_refused() {
        for text in ["", "8", "77777", "u", "u+z", "q+r"] {
            assert!(Chmod::parse(text).is_err(), "{text}");
        }
    }
}
