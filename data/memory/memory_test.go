package memory_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/memory"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]float64{"64GB": 64e9, "512 MiB": 512 << 20, "1e9": 1e9, "1.5TB": 1.5e12, "100B": 100} {
		if got, err := memory.Parse(text); err != nil || got != want {
			t.Errorf("%s is %v bytes, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "GB", "much", "-1GB", "0", "NaN", "1e400"} {
		if got, err := memory.Parse(text); err == nil {
			t.Errorf("%q is %v bytes", text, got)
		}
	}
}

func TestFormat(t *testing.T) {
	for bytes, want := range map[float64]string{12: "12 B", 3.14e9: "3.1 GB", 1e6: "1.0 MB", 1e30: "1e+18 TB"} {
		if got := memory.Format(bytes); got != want {
			t.Errorf("%v bytes are %s, want %s", bytes, got, want)
		}
	}
}

func TestBill(t *testing.T) {
	var b memory.Bill
	b.Add("a", 1e6)
	b.Add("b", 2e6)
	b.Add("a", 2e6)
	b.Add("c", 0)
	if b.Total() != 5e6 || b.Greatest(2) != "a 3.0 MB, b 2.0 MB" || len(b) != 2 {
		t.Errorf("%v, %s", b.Total(), b.Greatest(2))
	}
}

func TestCheck(t *testing.T) {
	t.Setenv(memory.Variable, "1MB")
	if err := memory.Check(1e6, "x"); err != nil {
		t.Error(err)
	}
	err := memory.Check(1e6+1, "train.batch_size, 4096")
	if e := new(memory.Error); !errors.As(err, &e) || !strings.Contains(err.Error(), "lower train.batch_size, 4096 (") {
		t.Errorf("error %v", err)
	}
	t.Setenv(memory.Variable, "some")
	if memory.Check(1, "x") == nil {
		t.Error("no size is taken for one")
	}
	t.Setenv(memory.Variable, "")
	if memory.Check(1<<47, "x") == nil {
		t.Error("there is memory without bounds")
	}
	if l, err := memory.Available(); err != nil || l.Bytes < 1e6 {
		t.Errorf("limit %v, %v", l, err)
	}
}
