//! `format` and `formatlist`: verbs of `printf` as HCL has them.

use crate::Error;
use crate::value::{Value, number_text};

/// Characters that a width or precision asks for at most.
const MAX_WIDTH: usize = 1000;

/// A verb with its flags.
#[derive(Default)]
struct Verb {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// Writes a text with the arguments in place of the verbs.
pub(crate) fn format(text: &str, arguments: &[Value]) -> Result<String, Error> {
    let (mut out, mut chars, mut next, mut used) = (String::new(), text.chars().peekable(), 0, 0);
    while let Some(char) = chars.next() {
        if char != '%' {
            out.push(char);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = chars.next_if(|char| "-+ 0#".contains(*char)) {
            match flag {
                '-' => verb.left = true,
                '+' => verb.plus = true,
                ' ' => verb.space = true,
                '#' => verb.sharp = true,
                _ => verb.zero = true,
            }
        }
        verb.width = number(&mut chars)?.unwrap_or(0);
        if chars.next_if_eq(&'.').is_some() {
            verb.precision = Some(number(&mut chars)?.unwrap_or(0));
        }
        if chars.next_if_eq(&'[').is_some() {
            let at = number(&mut chars)?.filter(|at| *at > 0 && chars.next() == Some(']'));
            next = at.ok_or_else(|| Error::new("an argument's number is expected: %[1]s"))? - 1;
        }
        let letter = chars.next().ok_or_else(|| Error::new("a verb is missing after %"))?;
        let value = arguments.get(next).ok_or_else(|| Error::new(format!("%{letter} has no argument")))?;
        next += 1;
        used = used.max(next);
        out.push_str(&verb.write(letter, value).map_err(|error| error.within(&format!("%{letter}")))?);
    }
    match used < arguments.len() {
        true => Err(Error::new(format!("{} arguments are not used", arguments.len() - used))),
        false => Ok(out),
    }
}

fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, Error> {
    let mut number = None;
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        let digit = digit.to_digit(10).unwrap_or(0) as usize;
        number = Some(number.unwrap_or(0) * 10 + digit);
        if number > Some(MAX_WIDTH) {
            return Err(Error::new(format!("a width of more than {MAX_WIDTH} characters")));
        }
    }
    Ok(number)
}

impl Verb {
    fn write(&self, letter: char, value: &Value) -> Result<String, Error> {
        let text = match letter {
            'v' if self.sharp => value.to_json().to_string(),
            'v' => match value {
                Value::Text(text) => text.clone(),
                Value::Number(number) => self.signed(*number, number_text(number.abs())),
                other => other.to_json().to_string(),
            },
            's' => self.cut(value.to_text()?),
            'q' => Value::Text(self.cut(value.to_text()?)).to_json().to_string(),
            't' => value.to_bool()?.to_string(),
            'b' | 'd' | 'o' | 'x' | 'X' => {
                let number = value.to_whole()?;
                let size = number.unsigned_abs();
                let digits = match letter {
                    'b' => format!("{size:b}"),
                    'o' => format!("{size:o}"),
                    'x' => format!("{size:x}"),
                    'X' => format!("{size:X}"),
                    _ => size.to_string(),
                };
                self.signed(number as f64, digits)
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let number = value.to_number()?;
                self.signed(number, self.float(letter, number.abs()))
            }
            _ => {
                return Err(Error::new(
                    "this verb is unknown; v, s, q, t, b, d, o, x, X, e, E, f, F, g and G are known",
                ));
            }
        };
        Ok(self.pad(text, letter))
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text,
        }
    }

    fn float(&self, letter: char, number: f64) -> String {
        let precision = self.precision.unwrap_or(6);
        let exponent = |text: String| {
            let (digits, power) = text.split_once('e').map_or((text.as_str(), "0"), |(digits, power)| (digits, power));
            let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
            format!("{digits}e{sign}{power:0>2}")
        };
        let written = match letter.to_ascii_lowercase() {
            'f' => format!("{number:.precision$}"),
            'e' => exponent(format!("{number:.precision$e}")),
            _ => {
                let power = if number == 0.0 { 0 } else { number.log10().floor() as i64 };
                match (-4..21).contains(&power) {
                    true => number_text(number),
                    false => exponent(format!("{number:e}")),
                }
            }
        };
        if letter.is_ascii_uppercase() { written.to_uppercase() } else { written }
    }

    fn signed(&self, number: f64, digits: String) -> String {
        match number {
            number if number < 0.0 => format!("-{digits}"),
            _ if self.plus => format!("+{digits}"),
            _ if self.space => format!(" {digits}"),
            _ => digits,
        }
    }

    fn pad(&self, text: String, letter: char) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if self.left {
            return format!("{text}{}", " ".repeat(missing));
        }
        if self.zero && !matches!(letter, 's' | 'q' | 't') {
            let split = usize::from(text.starts_with(['-', '+', ' ']));
            return format!("{}{}{}", &text[..split], "0".repeat(missing), &text[split..]);
        }
        format!("{}{text}", " ".repeat(missing))
    }
}

/// Writes one text for each element of the arguments that are lists; others are the same each time.
pub(crate) fn list(text: &str, arguments: &[Value]) -> Result<Value, Error> {
    let lengths: Vec<usize> =
        arguments.iter().filter_map(|argument| argument.as_list().ok().map(<[Value]>::len)).collect();
    let count = lengths.first().copied().unwrap_or(1);
    if lengths.iter().any(|length| *length != count) {
        return Err(Error::new("the lists have different lengths"));
    }
    let each = (0..count).map(|at| {
        let arguments = arguments.iter().map(|argument| argument.as_list().map_or(argument, |list| &list[at]).clone());
        format(text, &arguments.collect::<Vec<_>>()).map(Value::Text)
    });
    each.collect::<Result<_, _>>().map(Value::List)
}
