package onnx_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a protobuf message, as its fields by number: bytes, or varints as numbers.
type message map[protowire.Number][]any

func parse(t *testing.T, b []byte) message {
	t.Helper()
	m := message{}
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		b = b[size:]
		var v any
		switch kind {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			v, size = protowire.ConsumeFixed32(b)
		default:
			t.Fatalf("field %d of type %d", n, kind)
		}
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		m[n] = append(m[n], v)
		b = b[size:]
	}
	return m
}

func (m message) texts(n protowire.Number) (out []string) {
	for _, v := range m[n] {
		out = append(out, string(v.([]byte)))
	}
	return out
}

// TestStructure: in each file all names are made once, before they are read, and everything that is made is read.
func TestStructure(t *testing.T) {
	for name, c := range cases() {
		if refused[name] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			_, b := write(t, name, c)
			m := parse(t, b)
			set := parse(t, m[8][0].([]byte))
			if m[1][0] != uint64(8) || set[2][0] != uint64(17) {
				t.Errorf("IR version %v, opset %v", m[1], set[2])
			}
			read := map[string]bool{}
			made := map[string]bool{}
			walk(t, parse(t, m[7][0].([]byte)), made, read)
			for n := range made {
				if !read[n] {
					t.Errorf("%s is made and not read", n)
				}
			}
		})
	}
}

// walk checks a graph, whose nodes also read what is made outside of it.
func walk(t *testing.T, g message, made, read map[string]bool) {
	t.Helper()
	take := func(name string) {
		if made[name] || name == "" {
			t.Errorf("%q is made twice", name)
		}
		made[name] = true
	}
	for _, v := range g[5] {
		tensor := parse(t, v.([]byte))
		values, size := 1, 4
		for _, d := range tensor[1] {
			values *= int(d.(uint64))
		}
		if tensor[2][0] == uint64(7) {
			size = 8
		}
		if got := len(tensor[9][0].([]byte)); got != values*size {
			t.Errorf("tensor %s has %d bytes, want %d", tensor.texts(8), got, values*size)
		}
		take(tensor.texts(8)[0])
	}
	for _, v := range g[11] {
		take(parse(t, v.([]byte)).texts(1)[0])
	}
	for _, v := range g[1] {
		n := parse(t, v.([]byte))
		for _, name := range n.texts(1) {
			if read[name] = true; !made[name] {
				t.Errorf("node %s reads %s, which is not made before", n.texts(4), name)
			}
		}
		for _, a := range n[5] {
			if body := parse(t, a.([]byte))[6]; len(body) > 0 {
				walk(t, parse(t, body[0].([]byte)), made, read)
			}
		}
		for i, name := range n.texts(2) {
			if take(name); i == 0 && n.texts(4)[0] == "Scan" {
				read[name] = true // its last state is not needed
			}
		}
	}
	for _, v := range g[12] {
		name := parse(t, v.([]byte)).texts(1)[0]
		if read[name] = true; !made[name] {
			t.Errorf("the output %s is not made", name)
		}
	}
}

// A file of two outputs has the logits and the scores.
func TestOutputs(t *testing.T) {
	for name, want := range map[string][]string{"deepfm": {"logits", "scores"}, "sasrec/next": {"logits"}} {
		_, b := write(t, name, cases()[name])
		var got []string
		for _, v := range parse(t, parse(t, b)[7][0].([]byte))[12] {
			got = append(got, parse(t, v.([]byte)).texts(1)...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: outputs %v, want %v", name, got, want)
		}
	}
}
