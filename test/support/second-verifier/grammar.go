package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// The grammars are read out of FORMATS.md itself, as its chapter Conventions explains them: the page is
// this program's input. One that cannot be read is a mistake of the page or of this file, and ends it.
type grammars struct {
	named map[string]form
	of    map[string]form // "format=proof", "spec=hour" …
}

var fence = regexp.MustCompile("(?ms)^```grammar ([^\n]+)\n(.*?)^```$")

func readGrammars(page string) (*grammars, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	g := &grammars{map[string]form{}, map[string]form{}}
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		// Only a `|` at the left edge parts whole bodies; here it gets a sign of its own.
		p := &grammarParser{g: g, text: strings.ReplaceAll(block[2], "\n|\n", "\n@\n")}
		if block[1] == "names" {
			for p.skip(); p.text != ""; p.skip() {
				name := p.word()
				p.expect("=")
				g.named[name] = p.alternatives()
			}
		} else {
			g.of[block[1]] = p.bodies()
		}
	}
	return g, nil
}

func (g *grammars) check(what string, value any) error {
	f, ok := g.of[what]
	if !ok {
		return refuse("form", "no grammar %s", what)
	}
	if !f(value) {
		return refuse("form", "not of the grammar %s", what)
	}
	return nil
}

type grammarParser struct {
	g    *grammars
	text string
}

func (p *grammarParser) skip() { p.text = strings.TrimLeft(p.text, " \n") }

func (p *grammarParser) take(token string) bool {
	p.skip()
	if strings.HasPrefix(p.text, token) {
		p.text = p.text[len(token):]
		return true
	}
	return false
}

func (p *grammarParser) expect(token string) {
	if !p.take(token) {
		panic("grammar: expected " + token + " before " + p.text)
	}
}

var (
	wordPattern    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*`)
	countPattern   = regexp.MustCompile(`^(-?[0-9]+)\.\.(-?[0-9]+)?`)
	literalPattern = regexp.MustCompile(`^-?[0-9]+`)
)

func (p *grammarParser) word() string {
	p.skip()
	w := wordPattern.FindString(p.text)
	p.text = p.text[len(w):]
	return w
}

// bodies are the members of an object, or alternatives of such; what parts them is at the left edge.
func (p *grammarParser) bodies() form {
	forms := []form{p.members("")}
	for p.take("@") {
		forms = append(forms, p.members(""))
	}
	return anyOf(forms)
}

// members end with a token or, of a body, where it ends.
func (p *grammarParser) members(end string) form {
	members := map[string]member{}
	for {
		p.skip()
		if end != "" && p.take(end) || p.text == "" || p.text[0] == '@' {
			break
		}
		name := p.word()
		optional := p.take("?")
		p.expect(":")
		members[name] = member{p.alternatives(), optional}
		p.take(",")
	}
	return objectWith(members)
}

func (p *grammarParser) alternatives() form {
	forms := []form{p.one()}
	for p.take("|") {
		forms = append(forms, p.one())
	}
	return anyOf(forms)
}

func (p *grammarParser) one() form {
	p.skip()
	switch {
	case p.take(`"`):
		end := strings.IndexByte(p.text, '"')
		literal := p.text[:end]
		p.text = p.text[end+1:]
		return func(value any) bool { return value == literal }
	case p.take("/"):
		return p.regex()
	case p.take("["):
		item := p.alternatives()
		p.expect("]")
		return listOf(item, p.counted())
	case p.take("{"):
		return p.braces()
	}
	if p.isAtCount() {
		limits := p.counted()
		return func(value any) bool { n, ok := integer(value); return ok && limits.hold(n) }
	}
	if literal := literalPattern.FindString(p.text); literal != "" {
		p.text = p.text[len(literal):]
		return func(value any) bool { return value == json.Number(literal) }
	}
	return p.name()
}

func (p *grammarParser) isAtCount() bool {
	p.skip()
	return countPattern.MatchString(p.text)
}

// counted is `m..n`; without n, up to the greatest number that there is.
func (p *grammarParser) counted() limits {
	p.skip()
	m := countPattern.FindStringSubmatch(p.text)
	if m == nil {
		panic("grammar: expected a count before " + p.text)
	}
	p.text = p.text[len(m[0]):]
	c := limits{high: maxInteger}
	c.low, _ = strconv.ParseInt(m[1], 10, 64)
	if m[2] != "" {
		c.high, _ = strconv.ParseInt(m[2], 10, 64)
	}
	return c
}

// braces are an object or, with a count behind them, one whose names are not fixed: what the first name is
// of, only the count can tell.
func (p *grammarParser) braces() form {
	before := p.text
	if key := p.key(); key != nil && p.take(":") {
		value := p.alternatives()
		if p.take("}") && p.isAtCount() {
			return objectOf(key, value, p.counted())
		}
	}
	p.text = before
	return p.members("}")
}

// key is the form of the names of an object; nil where no form stands there.
func (p *grammarParser) key() form {
	if p.take("/") {
		return p.regex()
	}
	return p.g.named[p.word()]
}

func (p *grammarParser) name() form {
	name := p.word()
	switch name {
	case "text", "lines":
		p.expect("(")
		digits := literalPattern.FindString(p.text)
		p.text = p.text[len(digits):]
		p.expect(")")
		limit, _ := strconv.Atoi(digits)
		return func(value any) bool { s, ok := value.(string); return ok && isText(s, limit, name == "lines") }
	case "object":
		return func(value any) bool { _, ok := value.(object); return ok }
	case "true", "false":
		return func(value any) bool { return value == (name == "true") }
	case "":
		panic("grammar: expected a form before " + p.text)
	}
	return func(value any) bool { return p.g.named[name](value) }
}
