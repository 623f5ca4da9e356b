package main

import (
	"encoding/json"
	"math"
	"strconv"
)

// Members of values that have been held against their grammar.
type object = map[string]any

func num(o object, name string) int64 {
	n, err := strconv.ParseInt(string(o[name].(json.Number)), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func numOr(o object, name string, otherwise int64) int64 {
	if _, ok := o[name]; !ok {
		return otherwise
	}
	return num(o, name)
}

func str(o object, name string) string { s, _ := o[name].(string); return s }

func obj(o object, name string) object { v, _ := o[name].(object); return v }

func list(o object, name string) []any { v, _ := o[name].([]any); return v }

func strs(items []any) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = item.(string)
	}
	return out
}

func has(words []string, word string) bool {
	for _, one := range words {
		if one == word {
			return true
		}
	}
	return false
}

// never is a time and a `seq` beyond all that fit their grammars.
const never = math.MaxInt64

func within(ranges [][2]int64, n int64) bool {
	for _, r := range ranges {
		if r[0] <= n && n <= r[1] {
			return true
		}
	}
	return false
}

const hourS = 3600

func minimum(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

func maximum(a, b int64) int64 {
	if a > b {
		return a
	}
	return b
}
