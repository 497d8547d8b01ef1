package onnx_test

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
)

// untrained returns a model of a case without its options that training alone reads.
func untrained(m models.Model) models.Model {
	switch x := m.(type) {
	case ctr.FCN:
		x.TriBCE, x.DeepNetDropout, x.ShallowNetDropout = false, 0, 0
		return x
	case ctr.FinalNet:
		x.Block1Dropout, x.Block2Dropout = 0, 0
		return x
	case ctr.FinalMLP:
		x.MLP1Dropout, x.MLP2Dropout = 0, 0
		return x
	case ctr.MaskNet:
		x.NetDropout = 0
		return x
	case ctr.QNN:
		x.NetDropout = 0
		return x
	case ctr.AutoInt:
		x.NetDropout = 0
		return x
	}
	return m
}

// TestTraining: neither losses nor dropout are in a file, and what it reads are the columns of rows, without labels.
func TestTraining(t *testing.T) {
	compared := 0
	for name, c := range cases() {
		if refused[name] != "" {
			continue
		}
		m, file := write(t, name, c)
		want := slices.Clone(m.Text)
		for _, in := range m.Inputs {
			want = append(want, in.Name)
		}
		var got []string
		for _, v := range parse(t, parse(t, file)[7][0].([]byte))[11] {
			got = append(got, parse(t, v.([]byte)).texts(1)...)
		}
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%s: the file reads %v, want %v", name, got, want)
		}
		plain := c
		if plain.m = untrained(c.m); reflect.DeepEqual(plain.m, c.m) {
			continue
		}
		compared++
		if _, other := write(t, name, plain); !bytes.Equal(file, other) {
			t.Errorf("%s: the file differs from that of %+v", name, plain.m)
		}
	}
	if compared < 10 {
		t.Errorf("%d models have options of training", compared)
	}
}
