package main

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// form says whether a value is of it.
type form func(value any) bool

type member struct {
	form     form
	optional bool
}

type limits struct{ low, high int64 }

func (c limits) hold(n int64) bool { return c.low <= n && n <= c.high }

// objectWith has exactly the members that are named.
func objectWith(members map[string]member) form {
	return func(value any) bool {
		o, ok := value.(object)
		if !ok {
			return false
		}
		for name := range o {
			if _, known := members[name]; !known {
				return false
			}
		}
		for name, m := range members {
			v, there := o[name]
			if !there && !m.optional || there && !m.form(v) {
				return false
			}
		}
		return true
	}
}

// objectOf has members of any names of a form.
func objectOf(key, item form, size limits) form {
	return func(value any) bool {
		o, ok := value.(object)
		if !ok || !size.hold(int64(len(o))) {
			return false
		}
		for name, v := range o {
			if !key(name) || !item(v) {
				return false
			}
		}
		return true
	}
}

func listOf(item form, size limits) form {
	return func(value any) bool {
		items, ok := value.([]any)
		if !ok || !size.hold(int64(len(items))) {
			return false
		}
		for _, v := range items {
			if !item(v) {
				return false
			}
		}
		return true
	}
}

func anyOf(forms []form) form {
	return func(value any) bool {
		for _, f := range forms {
			if f(value) {
				return true
			}
		}
		return false
	}
}

func integer(value any) (int64, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(string(number), 10, 64)
	return n, err == nil
}

// regex ends at the first "/" that is neither escaped nor in brackets.
func (p *grammarParser) regex() form {
	inBrackets := false
	for i := 0; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '\\':
			i++
		case c == '[':
			inBrackets = true
		case c == ']':
			inBrackets = false
		case c == '/' && !inBrackets:
			source := p.text[:i]
			p.text = p.text[i+1:]
			return matcher(source)
		}
	}
	panic("grammar: a regular expression without end")
}

var (
	jsUnicode = regexp.MustCompile(`\\u([0-9a-f]{4})`)
	bigRepeat = regexp.MustCompile(`\{(\d+),(\d{4,})\}$`)
)

// matcher is a regular expression of the page, which is JavaScript's. Go's repeats end at 1000, so a great
// one at the end is checked as a length.
func matcher(source string) form {
	source = strings.ReplaceAll(jsUnicode.ReplaceAllString(source, `\x{$1}`), `\/`, `/`)
	length := limits{0, never}
	if m := bigRepeat.FindStringSubmatch(source); m != nil {
		length.low, _ = strconv.ParseInt(m[1], 10, 64)
		length.high, _ = strconv.ParseInt(m[2], 10, 64)
		source = source[:len(source)-len(m[0])] + "*"
	}
	pattern := regexp.MustCompile(`^(?s:` + source + `)$`)
	return func(value any) bool {
		s, ok := value.(string)
		if !ok {
			return false
		}
		return length.hold(int64(utf8.RuneCountInString(s))) && pattern.MatchString(s)
	}
}

// isText leaves NFC alone: see unsupported.go.
func isText(s string, limit int, lines bool) bool {
	n := utf8.RuneCountInString(s)
	if n < 1 || n > limit {
		return false
	}
	for _, r := range s {
		if unicode.Is(unicode.Cc, r) && !(lines && r == '\n') {
			return false
		}
	}
	return true
}
