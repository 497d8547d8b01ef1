package crash_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/crash"
)

func broken() error {
	var list []int
	return errors.New(string(rune(list[len(list)])))
}

func TestGuard(t *testing.T) {
	if err := crash.Guard(func() error { return nil }); err != nil {
		t.Errorf("no error became %v", err)
	}
	if err := crash.Guard(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("an error became %v", err)
	}
	err := crash.Guard(broken)
	var e *crash.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "internal error: runtime error: index out of range") {
		t.Fatalf("a panic became %v", err)
	}
	if !strings.Contains(string(e.Stack), "crash_test.broken") {
		t.Errorf("the stack does not say where it happened:\n%s", e.Stack)
	}
	if again := crash.Guard(func() error { panic(e) }); again != err {
		t.Errorf("a panic that was passed on became %v", again)
	}
	if err := crash.Guard(func() error { panic(io.EOF) }); !errors.Is(err, io.EOF) {
		t.Errorf("%v does not wrap what was panicked with", err)
	}
}
