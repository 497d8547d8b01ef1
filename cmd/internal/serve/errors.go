package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train"
)

// failure is an error with its status.
type failure struct {
	code int
	msg  string
	wait int // seconds after which trying again may help; 0: it does not
}

// Error returns the message.
func (f *failure) Error() string { return f.msg }

// refuse returns the error of a request that is not what it should be.
func refuse(format string, args ...any) error {
	return &failure{code: http.StatusBadRequest, msg: fmt.Sprintf(format, args...)}
}

// fault is the body of an answer that is an error.
type faultBody struct {
	Error  string `json:"error"`
	Row    *int   `json:"row,omitempty"`
	Column string `json:"column,omitempty"`
}

// clientGone is the status that is counted if a client has left before its answer, as nginx calls it.
const clientGone = 499

// failed returns the status and the body for an error. Errors of the server are not told to clients.
func failed(err error) (code int, body faultBody, wait int) {
	var f *failure
	var bad *data.ValueError
	var output *train.OutputError
	switch {
	case errors.As(err, &f):
		return f.code, faultBody{Error: f.msg}, f.wait
	case errors.As(err, &bad):
		return http.StatusBadRequest, faultBody{Error: strings.TrimPrefix(bad.Error(), "data: "), Row: &bad.Row, Column: bad.Column}, 0
	case errors.As(err, &output):
		return http.StatusUnprocessableEntity, faultBody{Error: output.Error()}, 0
	case errors.Is(err, errFull):
		return http.StatusTooManyRequests, faultBody{Error: err.Error()}, 1
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, faultBody{Error: "the answer took too long: try again in a moment"}, 1
	case errors.Is(err, context.Canceled):
		return clientGone, faultBody{Error: "the client has left"}, 0
	}
	return http.StatusInternalServerError, faultBody{Error: "internal error: the server's log tells more"}, 0
}

// fail writes an error.
func (s *Server) fail(w http.ResponseWriter, err error) {
	code, body, wait := failed(err)
	if code == http.StatusInternalServerError {
		s.Log.Error("a request failed", "error", err)
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(wait))
	}
	reply(w, code, body)
}

// reply writes v as JSON.
func reply(w http.ResponseWriter, code int, v any) {
	text, err := json.Marshal(v)
	if err != nil { // of numbers that are not finite, which no run predicts
		code, text = http.StatusInternalServerError, []byte(`{"error":"internal error: the answer is no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n')) // a client that has gone
}
