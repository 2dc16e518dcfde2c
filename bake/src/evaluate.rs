//! Expressions to values, as HCL evaluates them.

use crate::Error;
use crate::types::Type;
use crate::value::Value;
use hcl_edit::Number;
use hcl_edit::expr::{
    BinaryOp, BinaryOperator, Conditional, Expression, ForExpr, FuncCall, ObjectKey, Traversal, TraversalOperator,
    UnaryOperator,
};
use hcl_edit::template::{Directive, Element, ForDirective, IfDirective, Strip};
use std::collections::BTreeMap;

/// Values that the expressions of one file may hold in all.
const MAX_VALUES: usize = 1_000_000;

/// The names that an expression may use.
pub(crate) trait Names {
    /// Returns the variable of a name.
    fn variable(&self, name: &str) -> Result<Value, Error>;
    /// Returns the attribute of the block `kind` with a name, or all of them; `None` if `kind` is not a kind of blocks.
    fn block(&self, kind: &str, name: Option<&str>, attribute: Option<&str>) -> Result<Option<Value>, Error>;
    /// Calls a function.
    fn call(&self, name: &str, arguments: Vec<Value>) -> Result<Value, Error>;
    /// Counts values that were made; fails when there are too many.
    fn count(&self, values: usize) -> Result<(), Error>;
}

/// Tells whether so many values are too many.
pub(crate) fn check_count(values: usize) -> Result<(), Error> {
    match values <= MAX_VALUES {
        true => Ok(()),
        false => Err(Error::new(format!("the expressions make more than {MAX_VALUES} values"))),
    }
}

/// Names that are known within an expression only: of `for`, of a matrix, of a function's parameters.
pub(crate) struct Scope<'s> {
    /// The names around.
    pub names: &'s dyn Names,
    /// The scope around.
    pub outer: Option<&'s Scope<'s>>,
    /// The names of this scope.
    pub own: BTreeMap<String, Value>,
}

impl Scope<'_> {
    fn local(&self, name: &str) -> Option<&Value> {
        self.own.get(name).or_else(|| self.outer?.local(name))
    }

    fn inner(&self, own: BTreeMap<String, Value>) -> Scope<'_> {
        Scope { names: self.names, outer: Some(self), own }
    }

    /// Returns the value of an expression.
    pub(crate) fn value(&self, expression: &Expression) -> Result<Value, Error> {
        self.names.count(1)?;
        match expression {
            Expression::Null(_) => Ok(Value::Null),
            Expression::Bool(truth) => Ok(Value::Bool(*truth.value())),
            Expression::Number(number) => Ok(Value::Number(number_of(number.value()))),
            Expression::String(text) => Ok(Value::text(text.as_str())),
            Expression::Array(array) => {
                Ok(Value::List(array.iter().map(|each| self.value(each)).collect::<Result<_, _>>()?))
            }
            Expression::Object(object) => {
                let mut map = BTreeMap::new();
                for (key, value) in object.iter() {
                    let key = match key {
                        ObjectKey::Ident(name) => name.as_str().to_owned(),
                        // A name alone is a key; in parentheses it is a variable.
                        ObjectKey::Expression(Expression::Variable(name)) => name.as_str().to_owned(),
                        ObjectKey::Expression(key) => {
                            self.value(key)?.to_text().map_err(|error| error.within("a key"))?
                        }
                    };
                    map.insert(key, self.value(value.expr())?);
                }
                Ok(Value::Map(map))
            }
            Expression::StringTemplate(template) => self.template(&template.iter().collect::<Vec<_>>()),
            Expression::HeredocTemplate(heredoc) => self.template(&heredoc.template.iter().collect::<Vec<_>>()),
            Expression::Parenthesis(inner) => self.value(inner.inner()),
            Expression::Variable(name) => self.variable(name.as_str()),
            Expression::Conditional(conditional) => self.conditional(conditional),
            Expression::FuncCall(call) => self.call(call),
            Expression::Traversal(traversal) => self.traversal(traversal),
            Expression::UnaryOp(operation) => {
                let value = self.operand(&operation.expr)?;
                match operation.operator.value() {
                    UnaryOperator::Neg => Ok(Value::Number(-value.to_number()?)),
                    UnaryOperator::Not => Ok(Value::Bool(!value.to_bool()?)),
                }
            }
            Expression::BinaryOp(operation) => self.operation(operation),
            Expression::ForExpr(expression) => self.for_expression(expression),
        }
    }

    fn variable(&self, name: &str) -> Result<Value, Error> {
        match self.local(name) {
            Some(value) => Ok(value.clone()),
            None => match self.names.block(name, None, None)? {
                Some(blocks) => Ok(blocks),
                None => self.names.variable(name),
            },
        }
    }

    fn operand(&self, expression: &Expression) -> Result<Value, Error> {
        match self.value(expression)? {
            Value::Null => Err(Error::new(format!("`{}` is null", expression.to_string().trim()))),
            value => Ok(value),
        }
    }

    fn conditional(&self, conditional: &Conditional) -> Result<Value, Error> {
        let condition = self.operand(&conditional.cond_expr)?.to_bool()?;
        let (chosen, other) = match condition {
            true => (&conditional.true_expr, &conditional.false_expr),
            false => (&conditional.false_expr, &conditional.true_expr),
        };
        let value = self.value(chosen)?;
        // Both sides have one type: a number beside a text is a text.
        match (&value, self.value(other)) {
            (Value::Number(_) | Value::Bool(_), Ok(Value::Text(_))) => Ok(Value::Text(value.to_text()?)),
            _ => Ok(value),
        }
    }

    fn operation(&self, operation: &BinaryOp) -> Result<Value, Error> {
        use BinaryOperator as Op;
        let operator = *operation.operator.value();
        if matches!(operator, Op::Eq | Op::NotEq) {
            let equal = self.value(&operation.lhs_expr)? == self.value(&operation.rhs_expr)?;
            return Ok(Value::Bool(equal == (operator == Op::Eq)));
        }
        let (left, right) = (self.operand(&operation.lhs_expr)?, self.operand(&operation.rhs_expr)?);
        if matches!(operator, Op::And | Op::Or) {
            let (left, right) = (left.to_bool()?, right.to_bool()?);
            return Ok(Value::Bool(if operator == Op::And { left && right } else { left || right }));
        }
        let (left, right) = (left.to_number()?, right.to_number()?);
        let number = match operator {
            Op::Plus => left + right,
            Op::Minus => left - right,
            Op::Mul => left * right,
            Op::Div | Op::Mod if right == 0.0 => return Err(Error::new("a number is divided by zero")),
            Op::Div => left / right,
            Op::Mod => left % right,
            Op::Less => return Ok(Value::Bool(left < right)),
            Op::LessEq => return Ok(Value::Bool(left <= right)),
            Op::Greater => return Ok(Value::Bool(left > right)),
            _ => return Ok(Value::Bool(left >= right)),
        };
        Ok(Value::Number(number))
    }

    fn call(&self, call: &FuncCall) -> Result<Value, Error> {
        let name = call.name.name.as_str();
        if call.name.is_namespaced() {
            return Err(Error::new(format!("functions have no namespaces here: `{}`", call.name.name.as_str())));
        }
        let arguments: Vec<&Expression> = call.args.iter().collect();
        match name {
            "try" => {
                let mut tries = arguments.iter().map(|argument| self.value(argument));
                return tries.find(Result::is_ok).unwrap_or_else(|| Err(Error::new("try: no argument has a value")));
            }
            "can" if arguments.len() == 1 => return Ok(Value::Bool(self.value(arguments[0]).is_ok())),
            "convert" if arguments.len() == 2 => return Type::parse(arguments[1])?.convert(self.value(arguments[0])?),
            _ => {}
        }
        let mut values = arguments.iter().map(|argument| self.value(argument)).collect::<Result<Vec<_>, _>>()?;
        if call.args.expand_final() {
            let last = values.pop().unwrap_or(Value::Null);
            values.extend_from_slice(last.as_list()?);
        }
        self.names.call(name, values)
    }

    fn traversal(&self, traversal: &Traversal) -> Result<Value, Error> {
        let operators: Vec<&TraversalOperator> = traversal.operators.iter().map(|operator| operator.value()).collect();
        if let Expression::Variable(root) = &traversal.expr
            && self.local(root.as_str()).is_none()
        {
            let name = operators.first().map(|operator| self.step(operator)).transpose()?.flatten();
            let attribute = operators.get(1).map(|operator| self.step(operator)).transpose()?.flatten();
            let (kind, name) = (root.as_str(), name.as_deref());
            if let Some(value) = self.names.block(kind, name, attribute.as_deref())? {
                let done = usize::from(name.is_some()) + usize::from(attribute.is_some());
                return self.walk(value, &operators[done..]);
            }
        }
        self.walk(self.value(&traversal.expr)?, &operators)
    }

    /// Returns the name that a step of a traversal names, if it is one.
    fn step(&self, operator: &TraversalOperator) -> Result<Option<String>, Error> {
        match operator {
            TraversalOperator::GetAttr(name) => Ok(Some(name.as_str().to_owned())),
            TraversalOperator::Index(index) => self.value(index)?.to_text().map(Some),
            _ => Ok(None),
        }
    }

    fn walk(&self, value: Value, operators: &[&TraversalOperator]) -> Result<Value, Error> {
        let Some((operator, rest)) = operators.split_first() else { return Ok(value) };
        let key = match operator {
            TraversalOperator::GetAttr(name) => Value::text(name.as_str()),
            TraversalOperator::Index(index) => self.operand(index)?,
            TraversalOperator::LegacyIndex(index) => Value::Number(*index.value() as f64),
            TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                // A value that is not a list is a list of one.
                let list = match value {
                    Value::List(list) => list,
                    Value::Null => Vec::new(),
                    other => vec![other],
                };
                return list.into_iter().map(|each| self.walk(each, rest)).collect::<Result<_, _>>().map(Value::List);
            }
        };
        match value.element(&key)? {
            Some(value) => self.walk(value, rest),
            None => Err(Error::new(format!("{} has no element `{}`", value.kind(), key.to_text()?))),
        }
    }

    fn each(&self, key: Option<&str>, name: &str, pair: (Value, Value)) -> Scope<'_> {
        let mut own = BTreeMap::from([(name.to_owned(), pair.1)]);
        key.map(|key| own.insert(key.to_owned(), pair.0));
        self.inner(own)
    }

    fn for_expression(&self, expression: &ForExpr) -> Result<Value, Error> {
        let intro = &expression.intro;
        let (mut list, mut map) = (Vec::new(), BTreeMap::<String, Value>::new());
        for pair in self.operand(&intro.collection_expr)?.entries()? {
            let key_name = intro.key_var.as_ref().map(|name| name.as_str());
            let scope = self.each(key_name, intro.value_var.as_str(), pair);
            if let Some(condition) = &expression.cond
                && !scope.operand(&condition.expr)?.to_bool()?
            {
                continue;
            }
            let value = scope.value(&expression.value_expr)?;
            let Some(key) = &expression.key_expr else {
                list.push(value);
                continue;
            };
            let key = scope.value(key)?.to_text()?;
            if expression.grouping {
                match map.entry(key).or_insert_with(|| Value::List(Vec::new())) {
                    Value::List(group) => group.push(value),
                    _ => return Err(Error::new("a group is not a list")),
                }
            } else if map.insert(key.clone(), value).is_some() {
                return Err(Error::new(format!("the key `{key}` is made twice; `...` after the value makes groups")));
            }
        }
        Ok(if expression.key_expr.is_some() { Value::Map(map) } else { Value::List(list) })
    }

    /// Returns the value of a template; one that is an interpolation and nothing else is its value.
    fn template(&self, elements: &[&Element]) -> Result<Value, Error> {
        if let [Element::Interpolation(only)] = elements {
            return self.value(&only.expr);
        }
        let mut made = Pieces::default();
        self.elements(elements, &mut made)?;
        Ok(Value::Text(made.text))
    }

    fn elements(&self, elements: &[&Element], made: &mut Pieces) -> Result<(), Error> {
        for element in elements {
            match element {
                Element::Literal(text) => made.literal(text.as_str()),
                Element::Interpolation(interpolation) => {
                    let value =
                        self.operand(&interpolation.expr)?.to_text().map_err(|error| error.within("a template"))?;
                    made.strip_before(interpolation.strip);
                    self.names.count(value.len() / 64)?;
                    made.push(&value);
                    made.strip_after(interpolation.strip);
                }
                Element::Directive(directive) => match &**directive {
                    Directive::If(directive) => self.if_directive(directive, made)?,
                    Directive::For(directive) => self.for_directive(directive, made)?,
                },
            }
            self.names.count(1)?;
        }
        Ok(())
    }

    fn if_directive(&self, directive: &IfDirective, made: &mut Pieces) -> Result<(), Error> {
        made.strip_before(directive.if_expr.strip);
        let holds = self.operand(&directive.if_expr.cond_expr)?.to_bool()?;
        let end = directive.endif_expr.strip;
        let otherwise = directive.else_expr.as_ref();
        if holds {
            made.strip_after(directive.if_expr.strip);
            self.elements(&directive.if_expr.template.iter().collect::<Vec<_>>(), made)?;
            made.strip_before(otherwise.map_or(end, |otherwise| otherwise.strip));
        } else if let Some(otherwise) = otherwise {
            made.strip_after(otherwise.strip);
            self.elements(&otherwise.template.iter().collect::<Vec<_>>(), made)?;
            made.strip_before(end);
        }
        made.strip_after(end);
        Ok(())
    }

    fn for_directive(&self, directive: &ForDirective, made: &mut Pieces) -> Result<(), Error> {
        let (intro, end) = (&directive.for_expr, directive.endfor_expr.strip);
        made.strip_before(intro.strip);
        for pair in self.operand(&intro.collection_expr)?.entries()? {
            let scope = self.each(intro.key_var.as_ref().map(|name| name.as_str()), intro.value_var.as_str(), pair);
            made.strip_after(intro.strip);
            scope.elements(&intro.template.iter().collect::<Vec<_>>(), made)?;
            made.strip_before(end);
        }
        made.strip_after(end);
        Ok(())
    }
}

/// The text of a template as far as it is made.
#[derive(Default)]
struct Pieces {
    text: String,
    strips: bool,
}

impl Pieces {
    fn literal(&mut self, text: &str) {
        let text = if self.strips { text.trim_start() } else { text };
        self.push(text);
    }

    fn push(&mut self, text: &str) {
        self.strips = false;
        self.text.push_str(text);
    }

    fn strip_before(&mut self, strip: Strip) {
        if matches!(strip, Strip::Start | Strip::Both) {
            self.text.truncate(self.text.trim_end().len());
        }
    }

    fn strip_after(&mut self, strip: Strip) {
        self.strips = matches!(strip, Strip::End | Strip::Both);
    }
}

fn number_of(number: &Number) -> f64 {
    number.as_f64().unwrap_or_default()
}
