//! From a file's text to scenarios. The clock and the names are known while reading, so that times
//! are absolute from here on and an unknown name is a mistake.

use super::{
    Action, Answer, Member, Scenario, Step, command, expect,
    scope::Scope,
    time,
    words::{Words, Wrong},
};
use crate::target::Call;
use proto::{
    catalog::Catalog,
    v1::{self, BatchMode},
};
use std::{fmt, str::Lines};

/// Where the clock of every scenario stands.
const BEGIN: &str = "2026-01-01";

/// What an inline catalog begins with, so that scenarios say only what they are about.
const HEADER: &str = "economy = \"scenario\"\ntitle = \"Scenario\"\ncurrency = \"usd\"\n";

/// A line that isn't understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
    /// What was expected, and what stands there.
    pub reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    {}", self.file, self.line, self.reason, self.text)
    }
}

impl std::error::Error for Mistake {}

/// Reads the scenarios of a file.
///
/// # Errors
/// The first line that isn't understood.
pub fn parse(file: &str, text: &str) -> Result<Vec<Scenario>, Mistake> {
    let mut reader = Reader {
        lines: text.lines(),
        line: 0,
        text: String::new(),
        catalog: None,
        scenarios: Vec::new(),
        scope: Scope::default(),
    };
    loop {
        match reader.read_line(file) {
            Ok(true) => {}
            Ok(false) => return Ok(reader.scenarios),
            Err(Wrong { expected, found }) => {
                let reason = format!("expected {expected}, found {found}");
                let (line, text) = (reader.line, reader.text.trim().to_owned());
                return Err(Mistake { file: file.to_owned(), line, text, reason });
            }
        }
    }
}

struct Reader<'t> {
    lines: Lines<'t>,
    /// The line that was read last: its number, from 1, and its text.
    line: usize,
    text: String,
    /// What stands before the first scenario.
    catalog: Option<String>,
    scenarios: Vec<Scenario>,
    scope: Scope,
}

impl Reader<'_> {
    fn next_line(&mut self) -> Option<String> {
        let line = self.lines.next()?;
        self.line += 1;
        line.clone_into(&mut self.text);
        Some(line.to_owned())
    }

    /// Reads a line, or a block of lines; `false` at the end of the file.
    fn read_line(&mut self, file: &str) -> Result<bool, Wrong> {
        let Some(text) = self.next_line() else {
            return self.end().map(|()| false);
        };
        let (mut words, answer) = Words::of(&text).split_at_arrow();
        if words.is_empty() {
            return match answer {
                Some(_) => Err(Wrong::new("a command before the arrow", "nothing")),
                None => Ok(true),
            };
        }
        if words.take("scenario") {
            self.end()?;
            self.begin(file, &text)?;
            return Ok(true);
        }
        if words.take("catalog") {
            let catalog = self.read_catalog(words)?;
            match self.scenarios.last_mut() {
                None => self.catalog = Some(catalog),
                Some(scenario) if scenario.steps.is_empty() => scenario.catalog = catalog,
                Some(_) => {
                    return Err(Wrong::new("the catalog before the first command", "it later"));
                }
            }
            return Ok(true);
        }
        let step = self.read_step(words, answer, text.trim())?;
        let scenario = self.scenarios.last_mut();
        let scenario = scenario.ok_or_else(|| Wrong::new("`scenario` first", "a command"))?;
        scenario.steps.extend(step);
        Ok(true)
    }

    fn begin(&mut self, file: &str, text: &str) -> Result<(), Wrong> {
        let title = text.trim().strip_prefix("scenario").unwrap_or("").trim();
        if title.is_empty() {
            return Err(Wrong::new("a sentence behind `scenario`", "nothing"));
        }
        self.scope = Scope::default();
        self.scope.now = time::parse(BEGIN, 0).expect("it is a date");
        self.scenarios.push(Scenario {
            file: file.to_owned(),
            line: self.line,
            title: title.to_owned(),
            catalog: self.catalog.clone().unwrap_or_default(),
            steps: Vec::new(),
        });
        Ok(())
    }

    /// A scenario that does nothing shows nothing.
    fn end(&self) -> Result<(), Wrong> {
        match self.scenarios.last() {
            Some(scenario) if scenario.steps.is_empty() => {
                Err(Wrong::new(format!("a command in `{}`", scenario.title), "its end"))
            }
            Some(scenario) if scenario.catalog.is_empty() => {
                Err(Wrong::new(format!("a catalog before `{}`", scenario.title), "none"))
            }
            _ => Ok(()),
        }
    }

    /// `catalog phoenix`, or `catalog` and lines of TOML up to `end`.
    fn read_catalog(&mut self, mut words: Words) -> Result<String, Wrong> {
        if words.is_empty() {
            let mut text = HEADER.to_owned();
            loop {
                let line = self.next_line();
                let line = line.ok_or_else(|| Wrong::new("`end` of the catalog", "nothing"))?;
                if line.trim() == "end" {
                    break;
                }
                text.push_str(&line);
                text.push('\n');
            }
            let mistakes = |mistakes| Wrong::new("a catalog", format!("{mistakes}"));
            return Catalog::parse("inline", &text).map_err(mistakes).map(|_| text);
        }
        let text = words.peek().and_then(Catalog::shipped).map(ToOwned::to_owned);
        let text = text.ok_or_else(|| words.wrong("the name of a shipped catalog"))?;
        words.word("a name")?;
        words.end("the line's end").map(|()| text)
    }

    fn read_step(
        &mut self,
        mut words: Words,
        answer: Option<Words>,
        text: &str,
    ) -> Result<Vec<Step>, Wrong> {
        let line = self.line;
        let text = text.to_owned();
        let answers = |now| match &answer {
            None => Ok(Answer::Accepted(Vec::new())),
            Some(words) => expect::answer(words, now),
        };
        let one = |action, answer| Ok(vec![Step { line, text: text.clone(), action, answer }]);
        if words.take("at") {
            self.scope.now = words.time(self.scope.now)?;
            words.end("the line's end")?;
            if answer.is_some() {
                return Err(Wrong::new("the line's end", "an arrow"));
            }
            return one(Action::At(self.scope.now), Answer::Accepted(Vec::new()));
        }
        if words.take("again") {
            words.end("the line's end")?;
            return one(Action::Again, answers(self.scope.now)?);
        }
        if words.take("batch") {
            if answer.is_some() {
                return Err(Wrong::new("the answer behind `end`", "an arrow"));
            }
            return self.read_batch(words, &text).map(|step| vec![step]);
        }
        let mut steps = Vec::new();
        for nth in self.repetitions(&mut words)? {
            self.scope.begin(line, nth);
            let (call, name) = command::read(&mut words.clone(), &mut self.scope)?;
            let action = Action::Call(Box::new(call), name);
            let answer = answers(self.scope.now)?;
            steps.push(Step { line, text: text.clone(), action, answer });
        }
        Ok(steps)
    }

    /// The numbers of a line's commands: one without a number, or `repeat N`.
    fn repetitions(&self, words: &mut Words) -> Result<Vec<Option<i64>>, Wrong> {
        if !words.take("repeat") {
            return Ok(vec![None]);
        }
        let times = words.number("a number of times")?;
        Ok((1..=times).map(Some).collect())
    }

    /// `batch atomic|independent [dry]`, a command a line, and `end`, which may be refused.
    fn read_batch(&mut self, mut words: Words, first: &str) -> Result<Step, Wrong> {
        let line = self.line;
        let mode = match words.word("`atomic` or `independent`")?.as_str() {
            "atomic" => BatchMode::Atomic,
            "independent" => BatchMode::Independent,
            _ => return Err(Wrong::new("`atomic` or `independent`", first)),
        };
        let dry_run = words.take("dry");
        words.end("`dry` or the line's end")?;
        let (mut commands, mut members) = (Vec::new(), Vec::new());
        loop {
            let text =
                self.next_line().ok_or_else(|| Wrong::new("`end` of the batch", "nothing"))?;
            let text = text.trim().to_owned();
            let (mut words, answer) = Words::of(&text).split_at_arrow();
            if words.is_empty() && answer.is_none() {
                continue;
            }
            let expected = match &answer {
                None => Answer::Accepted(Vec::new()),
                Some(words) => expect::answer(words, self.scope.now)?,
            };
            if words.take("end") {
                words.end("the line's end")?;
                let told = members.iter().any(|it: &Member| it.text.contains("->"));
                if told && matches!(expected, Answer::Refused(..)) {
                    return Err(Wrong::new("no answers in a batch that is refused", "some"));
                }
                let text = if answer.is_some() { text } else { first.to_owned() };
                let request = v1::BatchRequest { commands, mode: mode.into(), dry_run };
                let action = Action::Batch(Box::new(request.into()), members);
                return Ok(Step { line, text, action, answer: expected });
            }
            for nth in self.repetitions(&mut words)? {
                self.scope.begin(self.line, nth);
                let (call, name) = command::read(&mut words.clone(), &mut self.scope)?;
                commands.push(member(call)?);
                let (line, text, answer) = (self.line, text.clone(), expected.clone());
                members.push(Member { line, text, name, answer });
            }
        }
    }
}

fn member(call: Call) -> Result<v1::BatchCommand, Wrong> {
    use v1::batch_command::Command;
    let command = match call {
        Call::Credit(it) => Command::Credit(it),
        Call::Debit(it) => Command::Debit(it),
        Call::Reverse(it) => Command::Reverse(it),
        Call::Transfer(it) => Command::Transfer(it),
        Call::CreateHold(it) => Command::CreateHold(it),
        Call::CaptureHold(it) => Command::CaptureHold(it),
        Call::ReleaseHold(it) => Command::ReleaseHold(it),
        Call::SetClawback(it) => Command::SetClawback(it),
        Call::SetEntitlement(it) => Command::SetEntitlement(it),
        other => return Err(Wrong::new("a command that can be in a batch", other.rpc())),
    };
    Ok(v1::BatchCommand { command: Some(command) })
}
