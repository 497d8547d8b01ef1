package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows.
type metrics struct {
	handler  http.Handler
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	rows     *prometheus.CounterVec
	batches  *prometheus.HistogramVec
	joined   *prometheus.CounterVec
	reloads  *prometheus.CounterVec
	panics   prometheus.Counter
}

// latencies are the bounds of the histogram of request times, in seconds: from one row of a small model to a full queue.
var latencies = []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}

func newMetrics(s *Server) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "splice_" + name, Help: help}, labels)
	}
	histogram := func(name, help, label string, bounds []float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "splice_" + name, Help: help, Buckets: bounds}, []string{label})
	}
	m := &metrics{
		requests: counter("requests_total", "Requests, by route, method and status.", "route", "method", "code"),
		seconds:  histogram("request_seconds", "Time from a request's header to the end of its answer.", "route", latencies),
		rows:     counter("rows_total", "Rows that were scored.", "model"),
		batches:  histogram("batch_rows", "Rows that were scored together.", "model", []float64{1, 2, 5, 14, 28, 64, 126, 252, 1024, 4096}),
		joined:   counter("joined_requests_total", "Requests that were scored together with others.", "model"),
		reloads:  counter("reloads_total", "Changes of a model's files that were taken over (done) or not (refused).", "model", "result"),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "splice_panics_total", Help: "Requests that met a defect of the server."}),
	}
	for _, x := range s.models {
		for _, result := range []string{"done", "refused"} {
			m.reloads.WithLabelValues(x.Name, result)
		}
		m.rows.WithLabelValues(x.Name)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(m.requests, m.seconds, m.rows, m.batches, m.joined, m.reloads, m.panics, current{s},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) batch(model string, requests, rows int) {
	m.rows.WithLabelValues(model).Add(float64(rows))
	m.batches.WithLabelValues(model).Observe(float64(rows))
	if requests > 1 {
		m.joined.WithLabelValues(model).Add(float64(requests))
	}
}

func (m *metrics) request(route, method string, code int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		method = "other" // a client can make up any number of them
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(code)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// current are metrics of the versions that are served.
type current struct{ *Server }

var (
	infoDesc    = prometheus.NewDesc("splice_model_info", "The model that is served, by the SHA-256 sum of its file.", []string{"model", "digest"}, nil)
	loadedDesc  = prometheus.NewDesc("splice_model_loaded_timestamp_seconds", "When the model that is served was loaded.", []string{"model"}, nil)
	queueDesc   = prometheus.NewDesc("splice_queue_rows", "Rows that wait to be scored.", []string{"model"}, nil)
	workingDesc = prometheus.NewDesc("splice_requests_working", "Requests that are worked on, from the end of their bodies.", nil, nil)
	bodiesDesc  = prometheus.NewDesc("splice_body_bytes", "Bytes of requests' bodies that are held.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c current) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{infoDesc, loadedDesc, queueDesc, workingDesc, bodiesDesc} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (c current) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(workingDesc, float64(c.working.Load()))
	gauge(bodiesDesc, float64(c.bodies.Load()))
	for _, m := range c.models {
		v := m.acquire()
		if v == nil {
			continue
		}
		gauge(infoDesc, 1, m.Name, v.digest)
		gauge(loadedDesc, float64(v.loaded.UnixMilli())/1000, m.Name)
		gauge(queueDesc, float64(v.queue.length()), m.Name)
		v.release()
	}
}
