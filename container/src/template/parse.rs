//! From pieces to a tree.

use super::functions;
use super::lexer::{Piece, Token};

/// How deep parentheses and blocks may lie in one another.
const MAX_DEPTH: usize = 100;

/// A part of the tree.
#[derive(Debug)]
pub(crate) enum Node {
    /// Text.
    Text(String),
    /// A value that is printed, or assigned if there is a variable.
    Print(Option<String>, Expression),
    /// `if` and `else if`, and `else`.
    If(Vec<(Expression, Vec<Node>)>, Vec<Node>),
    /// `with`
    With(Expression, Vec<Node>, Vec<Node>),
    /// `range`: variables for key and value, the list, the body, `else`.
    Range(Vec<String>, Expression, Vec<Node>, Vec<Node>),
}

/// A value to be found.
#[derive(Debug)]
pub(crate) enum Expression {
    /// Names below the current value.
    Field(Vec<String>),
    /// Names below a variable.
    Variable(String, Vec<String>),
    /// A value that stands there.
    Constant(serde_json::Value),
    /// A function and its arguments.
    Call(String, Vec<Expression>),
    /// Names below another expression.
    Below(Box<Expression>, Vec<String>),
}

/// Parses a whole template.
pub(crate) fn parse(pieces: &[Piece]) -> Result<Vec<Node>, String> {
    let mut parser = Parser { pieces, at: 0, depth: 0 };
    let (nodes, end) = parser.block()?;
    match end {
        Some(words) => Err(format!("unexpected {{{{{}}}}}", words.join(" "))),
        None => Ok(nodes),
    }
}

struct Parser<'p> {
    pieces: &'p [Piece],
    at: usize,
    depth: usize,
}

/// The words that ended a block, `end` or `else`, and the rest of that action.
type End<'p> = Option<Vec<&'p str>>;

impl<'p> Parser<'p> {
    /// Reads nodes until `end` or `else`, whose words are returned, or the end of the template.
    fn block(&mut self) -> Result<(Vec<Node>, End<'p>), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the template is too deep".to_owned());
        }
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.get(self.at) {
            self.at += 1;
            let tokens = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.clone()));
                    continue;
                }
                Piece::Action(tokens) => tokens,
            };
            match tokens.first() {
                Some(Token::Word(word)) if word == "end" => {
                    self.depth -= 1;
                    return Ok((nodes, Some(vec!["end"])));
                }
                Some(Token::Word(word)) if word == "else" => {
                    // An `else if` is read again as an `if`.
                    let is_if = matches!(tokens.get(1), Some(Token::Word(word)) if word == "if");
                    self.depth -= 1;
                    return Ok((nodes, Some(if is_if { vec!["else", "if"] } else { vec!["else"] })));
                }
                Some(Token::Word(word)) if word == "if" => nodes.push(self.conditions(&tokens[1..])?),
                Some(Token::Word(word)) if word == "with" => {
                    let value = pipeline(&tokens[1..])?;
                    let (body, otherwise) = self.body()?;
                    nodes.push(Node::With(value, body, otherwise));
                }
                Some(Token::Word(word)) if word == "range" => nodes.push(self.range(&tokens[1..])?),
                _ => nodes.push(print(tokens)?),
            }
        }
        self.depth -= 1;
        Ok((nodes, None))
    }

    fn conditions(&mut self, tokens: &[Token]) -> Result<Node, String> {
        let mut cases = Vec::new();
        let mut condition = pipeline(tokens)?;
        loop {
            let (body, end) = self.block()?;
            cases.push((condition, body));
            match end.as_deref() {
                Some(["end"]) => return Ok(Node::If(cases, Vec::new())),
                Some(["else", "if"]) => {
                    let Some(Piece::Action(tokens)) = self.pieces.get(self.at - 1) else { return Err(eof()) };
                    condition = pipeline(&tokens[2..])?;
                }
                Some(_) => return Ok(Node::If(cases, self.last()?)),
                None => return Err(eof()),
            }
        }
    }

    fn range(&mut self, tokens: &[Token]) -> Result<Node, String> {
        let (names, list) = match tokens {
            [Token::Variable(key, _), Token::Comma, Token::Variable(value, _), Token::Assign, list @ ..] => {
                (vec![key.clone(), value.clone()], list)
            }
            [Token::Variable(value, _), Token::Assign, list @ ..] => (vec![value.clone()], list),
            list => (Vec::new(), list),
        };
        let list = pipeline(list)?;
        let (body, otherwise) = self.body()?;
        Ok(Node::Range(names, list, body, otherwise))
    }

    /// Reads a body and its `else`.
    fn body(&mut self) -> Result<(Vec<Node>, Vec<Node>), String> {
        let (body, end) = self.block()?;
        match end.as_deref() {
            Some(["end"]) => Ok((body, Vec::new())),
            Some(["else"]) => Ok((body, self.last()?)),
            Some(_) => Err("unexpected {{else if}}".to_owned()),
            None => Err(eof()),
        }
    }

    /// Reads what ends with `end` alone.
    fn last(&mut self) -> Result<Vec<Node>, String> {
        let (nodes, end) = self.block()?;
        match end.as_deref() {
            Some(["end"]) => Ok(nodes),
            Some(_) => Err("expected end; found {{else}}".to_owned()),
            None => Err(eof()),
        }
    }
}

fn eof() -> String {
    "unexpected EOF".to_owned()
}

fn print(tokens: &[Token]) -> Result<Node, String> {
    match tokens {
        [Token::Variable(name, names), Token::Assign, value @ ..] if names.is_empty() => {
            Ok(Node::Print(Some(name.clone()), pipeline(value)?))
        }
        tokens => Ok(Node::Print(None, pipeline(tokens)?)),
    }
}

/// Reads commands with pipes between them: each one's value is the last argument of the next.
fn pipeline(tokens: &[Token]) -> Result<Expression, String> {
    let mut reader = Reader { tokens, at: 0, depth: 0 };
    let value = reader.pipeline()?;
    match reader.at == tokens.len() {
        true => Ok(value),
        false => Err("unexpected right paren".to_owned()),
    }
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn pipeline(&mut self) -> Result<Expression, String> {
        let mut value = self.command(None)?;
        while matches!(self.tokens.get(self.at), Some(Token::Pipe)) {
            self.at += 1;
            value = self.command(Some(value))?;
        }
        Ok(value)
    }

    fn command(&mut self, last: Option<Expression>) -> Result<Expression, String> {
        let mut function = None;
        if let Some(Token::Word(word)) = self.tokens.get(self.at)
            && constant(word).is_none()
        {
            if !functions::is_known(word) {
                return Err(format!("function {word:?} not defined"));
            }
            function = Some(word.clone());
            self.at += 1;
        }
        let mut arguments = Vec::new();
        while let Some(argument) = self.argument()? {
            arguments.push(argument);
        }
        arguments.extend(last);
        match function {
            Some(function) => Ok(Expression::Call(function, arguments)),
            None if arguments.len() == 1 => arguments.pop().ok_or_else(eof),
            None if arguments.is_empty() => Err("missing value for command".to_owned()),
            None => Err("can't give argument to non-function".to_owned()),
        }
    }

    fn argument(&mut self) -> Result<Option<Expression>, String> {
        let Some(token) = self.tokens.get(self.at) else { return Ok(None) };
        let value = match token {
            Token::Pipe | Token::Close(_) => return Ok(None),
            Token::Field(names) => Expression::Field(names.clone()),
            Token::Variable(name, names) => Expression::Variable(name.clone(), names.clone()),
            Token::Text(text) => Expression::Constant(text.as_str().into()),
            Token::Number(number) if number.fract() == 0.0 => Expression::Constant((*number as i64).into()),
            Token::Number(number) => Expression::Constant((*number).into()),
            Token::Word(word) => match constant(word) {
                Some(value) => Expression::Constant(value),
                None if functions::is_known(word) => Expression::Call(word.clone(), Vec::new()),
                None => return Err(format!("function {word:?} not defined")),
            },
            Token::Open => return self.parenthesis().map(Some),
            Token::Assign | Token::Comma => return Err("unexpected token in command".to_owned()),
        };
        self.at += 1;
        Ok(Some(value))
    }

    fn parenthesis(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the template is too deep".to_owned());
        }
        self.at += 1;
        let value = self.pipeline()?;
        self.depth -= 1;
        let Some(Token::Close(names)) = self.tokens.get(self.at) else { return Err("unclosed left paren".to_owned()) };
        self.at += 1;
        Ok(if names.is_empty() { value } else { Expression::Below(Box::new(value), names.clone()) })
    }
}

fn constant(word: &str) -> Option<serde_json::Value> {
    match word {
        "true" => Some(true.into()),
        "false" => Some(false.into()),
        "nil" => Some(serde_json::Value::Null),
        _ => None,
    }
}
