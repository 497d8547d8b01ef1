package kernel

import (
	"os"
	"regexp"
	"testing"
)

// TestVendor compares the processor's maker with what the kernel says of it.
func TestVendor(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip(err)
	}
	want := regexp.MustCompile(`(?m)^vendor_id\s*: (.*)$`).FindSubmatch(text)
	if want == nil {
		t.Skip("/proc/cpuinfo names no maker")
	}
	var name [12]byte
	vendor(&name)
	if string(name[:]) != string(want[1]) || byAMD() != (string(want[1]) == "AuthenticAMD") {
		t.Errorf("made by %q, AMD %v; /proc/cpuinfo has %q", name, byAMD(), want[1])
	}
}
