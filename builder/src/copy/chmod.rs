//! `--chmod`: an octal mode, or changes as `chmod` takes them (`u+rwX,go=r`).

use super::error::CopyError;

/// A mode, or changes to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chmod {
    /// This mode for files and directories alike.
    Exact(u32),
    /// These changes, in order.
    Changes(Vec<Change>),
}

/// One change of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// These bits are there afterwards.
    Set(u32),
    /// These are not.
    Clear(u32),
    /// These are there, if it is a directory or was executable by anybody to begin with.
    SetIfExecutable(u32),
    /// Read, write and execute of a class (given as where its bits begin) go to other classes.
    Copy { from: u32, to: u32, operator: char },
}

const USER: u32 = 0o4700;
const GROUP: u32 = 0o2070;
const OTHER: u32 = 0o0007;
const STICKY: u32 = 0o1000;
const ALL: u32 = USER | GROUP | OTHER;

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
        let executable = directory || mode & 0o111 != 0;
        match self {
            Chmod::Exact(exact) => *exact,
            Chmod::Changes(changes) => changes.iter().fold(mode, |mode, change| change.apply(mode, executable)),
        }
    }

    /// Returns the mode of directories that have to be made on the way.
    pub fn for_new_directory(&self) -> u32 {
        match self {
            // BuildKit makes them without set-id and sticky bits.
            Chmod::Exact(exact) => exact & 0o777,
            Chmod::Changes(_) => 0o755,
        }
    }
}

/// Adds the changes of one clause. BuildKit reads modes as the BSDs' `setmode` does, which differs from GNU's `chmod` where
/// nobody is named, and in all that concerns `X`, `s` and `t`.
fn clause_changes(clause: &str, changes: &mut Vec<Change>) -> Option<()> {
    let operators = clause.find(['+', '-', '='])?;
    let mut who = 0;
    for letter in clause[..operators].chars() {
        who |= match letter {
            'u' => USER,
            'g' => GROUP,
            'o' => OTHER,
            'a' => ALL,
            _ => return None,
        };
    }
    let mut rest = &clause[operators..];
    while let Some(operator) = rest.chars().next() {
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
        Part { who, operator, bits: 0, executable: false, replaced: false }.read(&rest[1..end], changes)?;
        rest = &rest[end..];
    }
    Some(())
}

/// An operator with its permissions, while they are read.
struct Part {
    /// Whose bits; 0 if nobody was named.
    who: u32,
    operator: char,
    /// The bits that no change has yet.
    bits: u32,
    /// Whether `X` was among them.
    executable: bool,
    /// Whether a change of `=` is there already.
    replaced: bool,
}

impl Part {
    fn read(mut self, permissions: &str, changes: &mut Vec<Change>) -> Option<()> {
        // Others alone have neither a set-id nor the sticky bit.
        let others_alone = self.who == OTHER;
        for letter in permissions.chars() {
            match letter {
                'r' => self.bits |= 0o444,
                'w' => self.bits |= 0o222,
                'x' => self.bits |= 0o111,
                'X' => self.executable = true,
                's' if !others_alone => self.bits |= 0o6000,
                't' if !others_alone => {
                    self.who |= STICKY;
                    self.bits |= STICKY;
                }
                's' | 't' => {}
                'u' => self.copy(6, changes),
                'g' => self.copy(3, changes),
                'o' => self.copy(0, changes),
                _ => return None,
            }
        }
        if self.bits != 0 || (self.operator == '=' && !self.replaced) {
            self.flush(changes);
        }
        if self.executable {
            let bits = self.of_those(0o111);
            let clear = self.operator == '-';
            changes.push(if clear { Change::Clear(bits) } else { Change::SetIfExecutable(bits) });
        }
        Some(())
    }

    /// Adds a change for the bits so far.
    fn flush(&mut self, changes: &mut Vec<Change>) {
        let taken = std::mem::take(&mut self.bits);
        let bits = self.of_those(taken);
        match self.operator {
            '-' => changes.push(Change::Clear(bits)),
            '+' => changes.push(Change::Set(bits)),
            _ => {
                changes.push(Change::Clear(if self.who == 0 { ALL } else { self.who }));
                changes.push(Change::Set(bits));
                self.replaced = true;
            }
        }
    }

    fn copy(&mut self, from: u32, changes: &mut Vec<Change>) {
        if self.bits != 0 {
            self.flush(changes);
        }
        self.replaced = true;
        if self.operator == '+' && std::mem::take(&mut self.executable) {
            changes.push(Change::SetIfExecutable(self.of_those(0o111)));
        }
        let named =
            [(USER, 0o700), (GROUP, 0o070), (OTHER, 0o007)].into_iter().filter(|(class, _)| self.who & class != 0);
        let to = if self.who == 0 { 0o777 } else { named.map(|(_, bits)| bits).sum() };
        changes.push(Change::Copy { from, to, operator: self.operator });
    }

    fn of_those(&self, bits: u32) -> u32 {
        if self.who == 0 { bits } else { bits & self.who }
    }
}

impl Change {
    fn apply(self, mode: u32, executable: bool) -> u32 {
        match self {
            Change::Set(bits) => mode | bits,
            Change::Clear(bits) => mode & !bits,
            Change::SetIfExecutable(bits) => mode | if executable { bits } else { 0 },
            Change::Copy { from, to, operator } => {
                let bits = (((mode >> from) & 0o7) * 0o111) & to;
                match operator {
                    '+' => mode | bits,
                    '-' => mode & !bits,
                    _ => mode & !to | bits,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, mode: u32, directory: bool) -> u32 {
        Chmod::parse(text).unwrap().apply(mode, directory)
    }

    #[test]
    fn changes_are_applied_as_buildkit_does() {
        assert_eq!(applied("u+rwX,go=r", 0o600, false), 0o644);
        assert_eq!(applied("u+rwX,go=rX", 0o600, true), 0o755);
        assert_eq!(applied("go-w", 0o666, false), 0o644);
        assert_eq!(applied("g=u", 0o750, false), 0o770);
        assert_eq!(applied("+x", 0o644, false), 0o755);
        assert_eq!(applied("u+s,+t", 0o755, false), 0o5755);
        assert_eq!(applied("a=r", 0o777, false), 0o444);
        assert_eq!(applied("4755", 0o644, false), 0o4755);
        // As BuildKit 0.25 made them.
        for (text, mode, directory, result) in [
            ("o=sx", 0o1777, false, 0o1771),
            ("uo+xst=u,=t+", 0o644, false, 0o5747),
            ("a+g,o=xtw", 0o4755, false, 0o4753),
            ("=", 0o2750, true, 0),
            ("=", 0o1777, false, 0o1000),
            ("-Xts=u", 0o4755, false, 0o4777),
            ("+Xxr=rwX", 0o644, false, 0o666),
            ("+Xxr=rwX", 0o2750, true, 0o777),
            ("-o,+r,ga+Xs", 0o751, false, 0o6755),
            ("-rt", 0o644, false, 0o644),
            ("oa-rX", 0o2750, true, 0o2200),
            ("oa-rX", 0o600, false, 0o200),
            ("+x,-X", 0o644, false, 0o644),
            ("u=g", 0o4755, false, 0o4555),
        ] {
            assert_eq!(applied(text, mode, directory), result, "{text} of {mode:o}");
        }
    }

    #[test]
    fn other_values_are_refused() {
        for text in ["", "8", "77777", "u", "u+z", "q+r"] {
            assert!(Chmod::parse(text).is_err(), "{text}");
        }
    }
}
