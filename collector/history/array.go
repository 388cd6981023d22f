package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// encoding/json needs 8 µs for one of these rows of 750 bytes, does not tell of
// keys that it does not know, gives up at the first syntax error and holds a
// value in memory however long it is. What follows needs 3 µs in the same run,
// the making of the report included, goes on after a broken row, has 64 KiB in
// memory and leaves escapes to encoding/json. It is lenient in one point: a value
// that nobody wants is passed over unchecked.

// maxRow is the longest row that is read, in bytes. Spotify's have 600 to 900.
const maxRow = 1 << 20

var (
	errNotArray  = errors.New("is not a list of plays: " + expected)
	errNotObject = errors.New("the first row is not a JSON object; " + expected)
	errCutShort  = errors.New("the file ends in the middle: the download or the copy is not complete, fetch it again")
	errAfterList = errors.New("there is something after the end of the list of plays: the file has been changed, take the original")
	errNoRow     = errors.New("there is no row where one must be: the file has been changed, take the original")
	errNoComma   = errors.New("a comma is missing after the row before: the file has been changed, take the original")
)

// array reads the elements of a JSON array one after the other, or objects that follow
// each other without one ("JSON Lines").
type array struct {
	scanner *bufio.Scanner
	expect  expectation
	lines   bool  // objects without a list around them
	read    int64 // bytes of the file that have been passed

	element []byte // the current element, valid until next is called again
	offset  int64  // where it starts in the file; after an error, where that is
}

// expectation is what may come next in an array.
type expectation uint8

const (
	expectStart expectation = iota
	expectFirst             // an element or the end
	expectComma             // a comma or the end
	expectElement
	expectNothing
)

func newArray(r io.Reader) *array {
	a := &array{scanner: bufio.NewScanner(r)}
	a.scanner.Buffer(make([]byte, 64<<10), maxRow)
	a.scanner.Split(a.split)
	return a
}

func (a *array) next() bool {
	if !a.scanner.Scan() {
		return false
	}
	a.element = a.scanner.Bytes()
	return true
}

func (a *array) err() error { return a.scanner.Err() }

// split is the bufio.SplitFunc that finds the next element. A broken element is
// found too, as long as its brackets and quotes are in pairs.
func (a *array) split(data []byte, atEOF bool) (advance int, element []byte, err error) {
	defer func() { a.read += int64(advance) }()
	for i := 0; i < len(data); {
		a.offset = a.read + int64(i)
		c := data[i]
		switch {
		case isSpace(c):
			i++
		case a.expect == expectStart:
			switch c {
			case '[':
				a.expect = expectFirst
			case '{':
				a.expect, a.lines = expectFirst, true
				continue
			case 0xef, 0xbb, 0xbf: // the mark that some editors put before UTF-8
			case 0: // what is left of a file that was being written when the machine stopped
			default:
				return i, nil, errNotArray
			}
			i++
		case a.expect == expectNothing:
			return i, nil, errAfterList
		case c == ']' && a.expect != expectElement && !a.lines:
			a.expect = expectNothing
			i++
		case a.expect == expectComma:
			if c != ',' {
				return i, nil, errNoComma
			}
			a.expect = expectElement
			i++
		default:
			n := valueLen(data[i:])
			if n < 0 {
				if atEOF {
					return i, nil, errCutShort
				}
				return i, nil, nil
			}
			if n == 0 {
				return i, nil, errNoRow
			}
			if a.expect = expectComma; a.lines {
				a.expect = expectFirst
			}
			return i + n, data[i : i+n], nil
		}
		advance = i
	}
	if atEOF && a.expect != expectNothing && !a.lines {
		a.offset = a.read + int64(len(data))
		return len(data), nil, errCutShort
	}
	return len(data), nil, nil
}

// object walks over the members of a JSON object.
type object struct {
	rest    []byte
	started bool
	broken  bool // it is no JSON object, or ends early

	key   []byte // the current key
	value []byte // the current value as written: quoted, bracketed or bare
}

// next goes to the next member; it returns false after the last one and when the
// object is broken.
func (o *object) next() bool {
	c := o.token()
	if !o.started {
		o.started = true
		if c != '{' {
			return o.fail()
		}
		if c = o.token(); c == '}' {
			return o.end()
		}
	} else {
		if c == '}' {
			return o.end()
		}
		if c != ',' {
			return o.fail()
		}
		c = o.token()
	}
	if c != '"' {
		return o.fail()
	}
	n := stringLen(o.rest, 0)
	if n < 0 {
		return o.fail()
	}
	o.key = o.rest[:n-1]
	if bytes.IndexByte(o.key, '\\') >= 0 {
		key, ok := unquote(append([]byte{'"'}, o.rest[:n]...))
		if !ok {
			return o.fail()
		}
		o.key = []byte(key)
	}
	o.rest = o.rest[n:]
	if o.token() != ':' {
		return o.fail()
	}
	o.space()
	if n = valueLen(o.rest); n <= 0 {
		return o.fail()
	}
	o.value, o.rest = o.rest[:n], o.rest[n:]
	return true
}

// token takes the next byte that is no white space, 0 if there is none.
func (o *object) token() byte {
	o.space()
	if len(o.rest) == 0 {
		return 0
	}
	c := o.rest[0]
	o.rest = o.rest[1:]
	return c
}

func (o *object) space() {
	for len(o.rest) > 0 && isSpace(o.rest[0]) {
		o.rest = o.rest[1:]
	}
}

func (o *object) end() bool {
	o.space()
	o.broken = len(o.rest) > 0
	return false
}

func (o *object) fail() bool {
	o.broken, o.rest = true, nil
	return false
}

// valueLen returns how many bytes of data the JSON value at its start has, -1 if
// it does not end in data. A bare value ends before white space, a comma or a
// closing bracket, and may have no bytes.
func valueLen(data []byte) int {
	depth := 0
	for i := 0; i < len(data); {
		switch data[i] {
		case '"':
			n := stringLen(data, i+1)
			if n < 0 {
				return -1
			}
			i = n
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ' ', '\t', '\r', '\n', ',':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
	return -1
}

// stringLen returns the index after the quote that ends the string whose first
// character is at start, -1 if there is none.
func stringLen(data []byte, start int) int {
	for i := start; ; {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return -1
		}
		i += n + 1
		escapes := 0
		for i-2-escapes >= start && data[i-2-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}

// unquote returns the text of a JSON string, ok if it is one.
func unquote(value []byte) (text string, ok bool) {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return "", false
	}
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner), true
	}
	return text, json.Unmarshal(value, &text) == nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
