package tfevent_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splice-ml/splice/train/tfevent"
)

// clock starts at a fixed time and goes on by a quarter of a second a call.
func clock() func() time.Time {
	t := time.Unix(1700000000, 0)
	return func() time.Time {
		defer func() { t = t.Add(250 * time.Millisecond) }()
		return t
	}
}

// event is what the decoder below finds.
type event struct {
	wall         float64
	step         int64
	version, tag string
	value        float32
	start        bool
}

// crc32c is the reference loop, bit by bit: polynomial 0x1edc6f41, reflected.
func crc32c(b []byte) uint32 {
	c := ^uint32(0)
	for _, x := range b {
		c ^= uint32(x)
		for range 8 {
			c = c>>1 ^ 0x82f63b78&-(c&1)
		}
	}
	c = ^c
	return (c>>15 | c<<17) + 0xa282ead8
}

// fields splits a protobuf message; a varint's or fixed number's value is in n, a string's in b.
func fields(t *testing.T, b []byte, f func(field int, n uint64, b []byte)) {
	t.Helper()
	varint := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatalf("bad varint in %x", b)
		}
		b = b[n:]
		return v
	}
	for len(b) > 0 {
		tag := varint()
		field := int(tag >> 3)
		switch tag & 7 {
		case 0:
			f(field, varint(), nil)
		case 1:
			f(field, binary.LittleEndian.Uint64(b), nil)
			b = b[8:]
		case 2:
			n := varint()
			f(field, 0, b[:n])
			b = b[n:]
		case 5:
			f(field, uint64(binary.LittleEndian.Uint32(b)), nil)
			b = b[4:]
		default:
			t.Fatalf("wire type %d", tag&7)
		}
	}
}

func decode(t *testing.T, path string) (events []event) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := binary.LittleEndian.Uint64(b)
		if got, want := binary.LittleEndian.Uint32(b[8:]), crc32c(b[:8]); got != want {
			t.Fatalf("record %d: CRC of the length %08x, want %08x", len(events), got, want)
		}
		data := b[12 : 12+n]
		if got, want := binary.LittleEndian.Uint32(b[12+n:]), crc32c(data); got != want {
			t.Fatalf("record %d: CRC of the data %08x, want %08x", len(events), got, want)
		}
		b = b[16+n:]
		var e event
		fields(t, data, func(field int, n uint64, b []byte) {
			switch field {
			case 1:
				e.wall = math.Float64frombits(n)
			case 2:
				e.step = int64(n)
			case 3:
				e.version = string(b)
			case 5:
				fields(t, b, func(_ int, _ uint64, b []byte) {
					fields(t, b, func(field int, n uint64, b []byte) {
						if field == 1 {
							e.tag = string(b)
						} else {
							e.value = math.Float32frombits(uint32(n))
						}
					})
				})
			case 7:
				fields(t, b, func(field int, n uint64, _ []byte) { e.start = field == 1 && n == 1 })
			default:
				t.Fatalf("field %d", field)
			}
		})
		events = append(events, e)
	}
	return events
}

func write(t *testing.T, dir string) string {
	t.Helper()
	w, err := tfevent.Create(dir, clock())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		w.Restart(300),
		w.Scalar("train/loss", 301, 0.5),
		w.Scalar("valid/auc", 1<<40, math.Inf(1)),
		w.Scalar(strings.Repeat("long", 100), 0, -1e-3),
		w.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return w.Path
}

func TestEvents(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir)
	if got, want := filepath.Base(path), "events.out.tfevents.1700000000.0"; got != want {
		t.Errorf("file %s, want %s", got, want)
	}
	want := []event{
		{wall: 1700000000.25, version: "brain.Event:2"},
		{wall: 1700000000.5, step: 300, start: true},
		{wall: 1700000000.75, step: 301, tag: "train/loss", value: 0.5},
		{wall: 1700000001, step: 1 << 40, tag: "valid/auc", value: float32(math.Inf(1))},
		{wall: 1700000001.25, tag: strings.Repeat("long", 100), value: -1e-3},
	}
	if got := decode(t, path); !slices.Equal(got, want) {
		t.Errorf("events\n%+v\nwant\n%+v", got, want)
	}

	// A second file of the same second has another name, and the same clock gives the same bytes.
	again := write(t, dir)
	if got, want := filepath.Base(again), "events.out.tfevents.1700000000.1"; got != want {
		t.Errorf("second file %s, want %s", got, want)
	}
	a, _ := os.ReadFile(path)
	b, _ := os.ReadFile(again)
	if !bytes.Equal(a, b) {
		t.Error("the same events gave other bytes")
	}
}

func TestErrors(t *testing.T) {
	if _, err := tfevent.Create(filepath.Join(t.TempDir(), "none"), clock()); err == nil || !strings.HasPrefix(err.Error(), "tfevent: ") {
		t.Errorf("no directory: %v", err)
	}
	w, err := tfevent.Create(t.TempDir(), clock())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Scalar("\xff", 1, 1); err == nil || !strings.Contains(err.Error(), "not valid UTF-8") {
		t.Errorf("bad tag: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Scalar("a", 1, 1); err == nil {
		t.Error("a write after Close has no error")
	}
}
