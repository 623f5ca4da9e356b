package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// refusal is an error with a code of the page, or with `unknown`.
type refusal struct{ code, why string }

func (r refusal) Error() string { return r.code + ": " + r.why }

func refuse(code, why string, args ...any) error { return refusal{code, fmt.Sprintf(why, args...)} }

const (
	maxInteger = 1<<53 - 1
	maxDepth   = 32
)

// parseCanonical reads a JSON text in its own JCS form (FORMATS.md, Conventions; RFC 8785): parse it, write
// it, compare. Only integers are written: others fit no grammar, and what is refused early is refused.
func parseCanonical(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, refuse("utf8", "not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, refuse("json", "%v", err)
	}
	written, err := canonical(value, 1)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(written, text) {
		return nil, refuse("jcs", "another spelling of the same")
	}
	return value, nil
}

func canonical(value any, depth int) ([]byte, error) {
	var out bytes.Buffer
	if err := writeCanonical(&out, value, depth); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// jcs writes what has been parsed, or is made of such parts.
func jcs(value any) []byte {
	written, err := canonical(value, 1)
	if err != nil {
		panic(err)
	}
	return written
}

func writeCanonical(out *bytes.Buffer, value any, depth int) error {
	switch v := value.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		out.WriteString(strconv.FormatBool(v))
	case string:
		writeString(out, v)
	case int64:
		out.WriteString(strconv.FormatInt(v, 10))
	case json.Number:
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil || n > maxInteger || n < -maxInteger || strconv.FormatInt(n, 10) != string(v) {
			return refuse("form", "%s is no integer of 53 bits in its only spelling", v)
		}
		out.WriteString(string(v))
	case []any:
		return writeList(out, v, depth)
	case map[string]any:
		return writeObject(out, v, depth)
	default:
		return fmt.Errorf("no JSON: %T", value)
	}
	return nil
}

func writeList(out *bytes.Buffer, items []any, depth int) error {
	if depth > maxDepth {
		return refuse("jcs", "deeper than %d levels", maxDepth)
	}
	out.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeCanonical(out, item, depth+1); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

func writeObject(out *bytes.Buffer, o object, depth int) error {
	if depth > maxDepth {
		return refuse("jcs", "deeper than %d levels", maxDepth)
	}
	names := make([]string, 0, len(o))
	for name := range o {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return lessUTF16(names[i], names[j]) })
	out.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			out.WriteByte(',')
		}
		writeString(out, name)
		out.WriteByte(':')
		if err := writeCanonical(out, o[name], depth+1); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

// lessUTF16: names sort by their UTF-16 code units.
func lessUTF16(a, b string) bool {
	x, y := utf16.Encode([]rune(a)), utf16.Encode([]rune(b))
	for i := 0; i < len(x) && i < len(y); i++ {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return len(x) < len(y)
}

var short = map[rune]string{
	'"': `\"`, '\\': `\\`, '\b': `\b`, '\t': `\t`, '\n': `\n`, '\f': `\f`, '\r': `\r`,
}

func writeString(out *bytes.Buffer, text string) {
	out.WriteByte('"')
	for _, r := range text {
		if escaped, ok := short[r]; ok {
			out.WriteString(escaped)
		} else if r < 0x20 {
			fmt.Fprintf(out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
}
