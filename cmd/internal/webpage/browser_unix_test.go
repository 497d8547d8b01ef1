//go:build unix

package webpage_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// browser is a Chromium without a window. It is spoken to by the DevTools protocol over pipes: JSON texts that end with a zero byte.
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	session string
	id      int
}

// openBrowser starts a Chromium, or skips the test where there is none.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if at, err := exec.LookPath(name); err == nil && path == "" {
			path = at
		}
	}
	if path == "" {
		t.Skip("there is no chromium, which the test of the page in a browser needs (apt-get install chromium)")
	}
	in, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
		"--remote-debugging-pipe", "--user-data-dir="+profile)
	cmd.Env = append(os.Environ(), "HOME="+profile, "XDG_CONFIG_HOME="+profile, "XDG_CACHE_HOME="+profile)
	cmd.ExtraFiles = []*os.File{in, out} // 3 and 4
	if err := cmd.Start(); err != nil {
		t.Skipf("chromium does not start: %v", err)
	}
	in.Close()
	out.Close()
	b := &browser{t: t, to: to, from: bufio.NewReaderSize(from, 1<<20)}
	t.Cleanup(func() {
		to.Close() // ends it
		timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		from.Close()
	})
	if err := from.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Logf("no deadline: %v", err)
	}
	target := b.call("Target.createTarget", map[string]any{"url": "about:blank"})["targetId"]
	b.session, _ = b.call("Target.attachToTarget", map[string]any{"targetId": target, "flatten": true})["sessionId"].(string)
	b.call("Page.enable", nil)
	return b
}

// call calls a method and waits for its result.
func (b *browser) call(method string, params map[string]any) map[string]any {
	b.t.Helper()
	b.id++
	m := map[string]any{"id": b.id, "method": method}
	if params != nil {
		m["params"] = params
	}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	text, err := json.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		x := b.read()
		if id, ok := x["id"].(float64); !ok || int(id) != b.id {
			continue // an event
		}
		if e, ok := x["error"]; ok {
			b.t.Fatalf("%s: %v", method, e)
		}
		r, _ := x["result"].(map[string]any)
		return r
	}
}

func (b *browser) read() map[string]any {
	b.t.Helper()
	text, err := b.from.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("the browser says nothing: %v", err)
	}
	var x map[string]any
	if err := json.Unmarshal(text[:len(text)-1], &x); err != nil {
		b.t.Fatal(err)
	}
	return x
}

// open loads a file.
func (b *browser) open(path string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": "file://" + path})
	for b.eval("document.readyState") != "complete" || b.eval("document.title") == "" {
		time.Sleep(20 * time.Millisecond)
	}
}

// eval returns the value of an expression.
func (b *browser) eval(expression string) any {
	b.t.Helper()
	r := b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true})
	if e, ok := r["exceptionDetails"]; ok {
		b.t.Fatalf("%s: %v", expression, e)
	}
	v, _ := r["result"].(map[string]any)
	return v["value"]
}

// click clicks with the mouse in the middle of an element.
func (b *browser) click(selector string) {
	b.t.Helper()
	at, ok := b.eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center", inline: "center"}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`, selector)).([]any)
	if !ok {
		b.t.Fatalf("there is no %s", selector)
	}
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1})
	}
}

// look sets the width of the window and the color scheme that the reader prefers.
func (b *browser) look(width int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}})
}

// column returns the first column of a table as the reader sees it.
func (b *browser) column(table string) string {
	b.t.Helper()
	s, _ := b.eval(fmt.Sprintf(`Array.from(document.querySelectorAll("#%s tbody th")).map((x) => x.innerText).join(", ")`, table)).(string)
	return s
}

// A click on the head of a column sorts the table, a second one the other way, and a third one as at first.
func TestSortByClick(t *testing.T) {
	b := openBrowser(t)
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(write(t, document(t))), 0o666); err != nil {
		t.Fatal(err)
	}
	b.look(1000, "light")
	b.open(path)
	const first = "base & co, merge, CKI, other"
	if got := b.column("t"); got != first {
		t.Fatalf("before a click: %s", got)
	}
	for _, tc := range []struct{ column, want, order string }{
		{"2", "CKI, base & co, other, merge", "descending"}, // the merge has no value
		{"2", "other, base & co, CKI, merge", "ascending"},
		{"2", first, ""},
		{"3", "CKI, merge, base & co, other", "ascending"}, // a9 stands before a10
		{"1", "base & co, CKI, merge, other", "ascending"},
		{"1", "other, merge, CKI, base & co", "descending"},
	} {
		head := "#t thead th:nth-child(" + tc.column + ")"
		b.click(head + " button")
		order, _ := b.eval(fmt.Sprintf("document.querySelector(%q).getAttribute('aria-sort') || ''", head)).(string)
		if got := b.column("t"); got != tc.want || order != tc.order {
			t.Errorf("column %s: %s (%s), want %s (%s)", tc.column, got, order, tc.want, tc.order)
		}
	}
	if n := b.eval("document.querySelectorAll('[aria-sort]').length"); n != 1.0 {
		t.Errorf("%v columns say that they sort", n)
	}
	b.eval(`document.querySelector("#t thead th:nth-child(2) button").focus()`)
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"})
	}
	if got := b.column("t"); !strings.HasPrefix(got, "CKI, base & co") {
		t.Errorf("Enter on a head: %s", got)
	}
}

// The page never scrolls to the side, from phones to wide windows; wide tables scroll in their own box. Its colors follow the reader's.
// SPLICE_PAGE names another page to look at, and SPLICE_SCREENSHOTS a directory for pictures.
func TestLook(t *testing.T) {
	b := openBrowser(t)
	path, shots := os.Getenv("SPLICE_PAGE"), os.Getenv("SPLICE_SCREENSHOTS")
	if path == "" {
		path = filepath.Join(t.TempDir(), "page.html")
		if err := os.WriteFile(path, []byte(write(t, document(t))), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	colors := map[any]bool{}
	for _, width := range []int{390, 768, 1440} {
		for _, scheme := range []string{"light", "dark"} {
			b.look(width, scheme)
			b.open(path)
			if over, _ := b.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth").(float64); over != 0 {
				wide := b.eval(`Array.from(document.querySelectorAll("body *")).filter((x) => x.getBoundingClientRect().right > innerWidth + 1 && !x.closest(".scroll, pre")).slice(0, 5).map((x) => x.tagName + "#" + x.id + "." + x.className).join(" ")`)
				t.Errorf("at %d pixels, %s, the page is %v pixels too wide: %v", width, scheme, over, wide)
			}
			colors[fmt.Sprint(scheme, b.eval("getComputedStyle(document.body).backgroundColor"))] = true
			if shots != "" {
				b.shoot(filepath.Join(shots, fmt.Sprintf("%d-%s.png", width, scheme)), width)
			}
		}
	}
	if len(colors) != 2 || !colors["lightrgb(255, 255, 255)"] {
		t.Errorf("backgrounds: %v", colors)
	}
	if os.Getenv("SPLICE_PAGE") == "" {
		if inner := b.eval(`(() => { const s = document.querySelector("#wide").closest(".scroll"); return s.scrollWidth > s.clientWidth; })()`); inner != true {
			t.Error("the wide table does not scroll in its box")
		}
	}
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}) // readable without the script
	b.open(path)
	if n := b.eval(`document.querySelectorAll("thead button").length`); n != 0.0 || b.eval(`Array.from(document.querySelectorAll("table")).some((x) => x.checkVisibility())`) != true {
		t.Errorf("without the script there are %v buttons, or the table is not to be seen", n)
	}
	if pdf, _ := b.call("Page.printToPDF", nil)["data"].(string); len(pdf) < 1000 {
		t.Errorf("printed: %d bytes", len(pdf))
	} else if raw, err := base64.StdEncoding.DecodeString(pdf); shots != "" && err == nil {
		if err := os.WriteFile(filepath.Join(shots, "page.pdf"), raw, 0o666); err != nil {
			t.Error(err)
		}
	}
}

// shoot takes a picture of the page's first 2,400 pixels.
func (b *browser) shoot(path string, width int) {
	b.t.Helper()
	height, _ := b.eval("Math.min(2400, document.documentElement.scrollHeight)").(float64)
	data, _ := b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "clip": map[string]any{"x": 0, "y": 0, "width": width, "height": height, "scale": 1}})["data"].(string)
	raw, err := base64.StdEncoding.DecodeString(data)
	if err == nil {
		err = os.WriteFile(path, raw, 0o666)
	}
	if err != nil {
		b.t.Error(err)
	}
}
