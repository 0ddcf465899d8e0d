package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// apiServer is Toxiproxy's, with its API word for word. What starts, stops or changes a proxy goes through here, because
// the clients of a proxy are accepted by us; see proxy.
type apiServer struct {
	*toxiproxy.ApiServer

	mutex   sync.Mutex
	proxies map[string]*proxy
}

func newServer(logger zerolog.Logger) *apiServer {
	metrics := toxiproxy.NewMetricsContainer(prometheus.NewRegistry())
	return &apiServer{ApiServer: toxiproxy.NewServer(metrics, logger), proxies: map[string]*proxy{}}
}

func (s *apiServer) listen(address string) error {
	s.Logger.Info().Str("address", address).Msg("Starting Toxiproxy HTTP server")
	api := &http.Server{
		Addr: address, Handler: s.routes(), WriteTimeout: 30 * time.Second, ReadTimeout: 15 * time.Second,
		IdleTimeout: time.Minute,
	}
	return api.ListenAndServe()
}

// routes are Toxiproxy's, of which those that change something call us.
func (s *apiServer) routes() http.Handler {
	routes := s.Routes()
	for name, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"ProxyCreate": s.create, "ProxyUpdate": s.update, "ProxyDelete": s.remove, "Populate": s.populate, "ResetState": s.reset,
	} {
		routes.Get(name).HandlerFunc(answerErrors(handle))
	}
	for name, handle := range map[string]http.HandlerFunc{
		"ToxicCreate": s.changing(s.ToxicCreate, true), "ToxicDelete": s.changing(s.ToxicDelete, true),
		"ToxicUpdate": s.changing(s.ToxicUpdate, false),
	} {
		routes.Get(name).HandlerFunc(handle)
	}
	return routes
}

// answerErrors answers the error of a handler as Toxiproxy does.
func answerErrors(handle func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		if err := handle(response, request); err != nil {
			known := known(err)
			text, _ := json.Marshal(known)
			http.Error(response, string(text), known.StatusCode)
		}
	}
}

// known is an error as Toxiproxy's API tells it.
func known(err error) *toxiproxy.ApiError {
	var known *toxiproxy.ApiError
	if errors.As(err, &known) {
		return known
	}
	return &toxiproxy.ApiError{Message: err.Error(), StatusCode: http.StatusInternalServerError}
}

// because adds a reason to one of Toxiproxy's errors.
func because(known *toxiproxy.ApiError, reason any) error {
	return &toxiproxy.ApiError{Message: fmt.Sprintf("%s: %v", known.Message, reason), StatusCode: known.StatusCode}
}

// proxyFields are what a caller says of a proxy.
type proxyFields struct {
	Name     string `json:"name"`
	Listen   string `json:"listen"`
	Upstream string `json:"upstream"`
	Enabled  *bool  `json:"enabled"`
}

func (f *proxyFields) enabled() bool { return f.Enabled == nil || *f.Enabled }

// check reports what is missing. where: which proxy of a list it is.
func (f *proxyFields) check(where string) error {
	switch {
	case f.Name == "":
		return because(toxiproxy.ErrMissingField, "name"+where)
	case f.Upstream == "":
		return because(toxiproxy.ErrMissingField, "upstream"+where)
	}
	return nil
}

func decode(request *http.Request, into any) error {
	if err := json.NewDecoder(request.Body).Decode(into); err != nil {
		return because(toxiproxy.ErrBadRequestBody, err)
	}
	return nil
}

// find returns the proxy of that name. Toxiproxy's collection is what the API shows; ours follows it.
func (s *apiServer) find(name string) (*proxy, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if found := s.proxies[name]; found != nil {
		return found, nil
	}
	return nil, toxiproxy.ErrProxyNotFound
}

// add makes a proxy that does not listen yet.
func (s *apiServer) add(name, listen, upstream string) (*proxy, error) {
	added := newProxy(s.ApiServer, name, listen, upstream)
	if err := s.Collection.Add(added.Proxy, false); err != nil {
		return nil, err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.proxies[name] = added
	return added, nil
}

func (s *apiServer) drop(p *proxy) error {
	p.stop()
	s.mutex.Lock()
	delete(s.proxies, p.Name)
	s.mutex.Unlock()
	return s.Collection.Remove(p.Name)
}

func (s *apiServer) create(response http.ResponseWriter, request *http.Request) error {
	var wanted proxyFields
	if err := decode(request, &wanted); err != nil {
		return err
	}
	if err := wanted.check(""); err != nil {
		return err
	}
	added, err := s.add(wanted.Name, wanted.Listen, wanted.Upstream)
	if err != nil {
		return err
	}
	if wanted.enabled() {
		if err := added.start(); err != nil {
			return errors.Join(err, s.drop(added))
		}
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(http.StatusCreated)
	s.ProxyShow(response, mux.SetURLVars(request, map[string]string{"proxy": wanted.Name}))
	return nil
}

func (s *apiServer) update(response http.ResponseWriter, request *http.Request) error {
	changed, err := s.find(mux.Vars(request)["proxy"])
	if err != nil {
		return err
	}
	enabled := changed.Enabled
	wanted := proxyFields{Listen: changed.Listen, Upstream: changed.Upstream, Enabled: &enabled}
	if err := decode(request, &wanted); err != nil {
		return err
	}
	if err := changed.update(wanted); err != nil {
		return err
	}
	s.ProxyShow(response, request)
	return nil
}

func (s *apiServer) remove(response http.ResponseWriter, request *http.Request) error {
	gone, err := s.find(mux.Vars(request)["proxy"])
	if err != nil {
		return err
	}
	if err := s.drop(gone); err != nil {
		return err
	}
	response.WriteHeader(http.StatusNoContent)
	return nil
}

// populate makes the proxies of a list. One that is there already, listening and leading to where it is wanted, stays.
func (s *apiServer) populate(response http.ResponseWriter, request *http.Request) error {
	var answer struct {
		*toxiproxy.ApiError `json:",omitempty"`
		Proxies             []shownProxy `json:"proxies"`
	}
	status := http.StatusCreated
	made, err := s.populateAll(request)
	if answer.Proxies = made; err != nil {
		answer.ApiError = known(err)
		status = answer.StatusCode
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(status)
	_, _ = response.Write(text)
	return nil
}

// populateAll returns what it has made, also if it fails at one of them.
func (s *apiServer) populateAll(request *http.Request) ([]shownProxy, error) {
	var list []proxyFields
	if err := decode(request, &list); err != nil {
		return nil, err
	}
	for i := range list {
		if err := list[i].check(fmt.Sprintf(" at proxy %d", i+1)); err != nil {
			return nil, err
		}
	}
	made := make([]shownProxy, 0, len(list))
	for _, wanted := range list {
		one, err := s.populateOne(wanted)
		if err != nil {
			return made, err
		}
		made = append(made, shownProxy{one.Proxy, one.Toxics.GetToxicArray()})
	}
	return made, nil
}

func (s *apiServer) populateOne(wanted proxyFields) (*proxy, error) {
	if existing, err := s.find(wanted.Name); err == nil {
		differs, err := existing.Differs(&toxiproxy.Proxy{Listen: wanted.Listen, Upstream: wanted.Upstream})
		if err != nil || !differs {
			return existing, err
		}
		if err := s.drop(existing); err != nil {
			return nil, err
		}
	}
	added, err := s.add(wanted.Name, wanted.Listen, wanted.Upstream)
	if err != nil || !wanted.enabled() {
		return added, err
	}
	if err := added.start(); err != nil {
		return nil, errors.Join(err, s.drop(added))
	}
	return added, nil
}

// shownProxy is a proxy as the API shows it.
type shownProxy struct {
	*toxiproxy.Proxy
	Toxics []toxics.Toxic `json:"toxics"`
}

// reset enables all proxies and removes all toxics.
func (s *apiServer) reset(response http.ResponseWriter, request *http.Request) error {
	for name := range s.Collection.Proxies() {
		p, err := s.find(name)
		if err != nil {
			continue // removed meanwhile
		}
		if err := p.start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
			return err
		}
		p.change(true, func() { p.Toxics.ResetToxics(request.Context()) })
	}
	response.WriteHeader(http.StatusNoContent)
	return nil
}

// changing is a handler that changes the toxics of a proxy. anew: it adds some or removes some.
func (s *apiServer) changing(handle http.HandlerFunc, anew bool) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		p, err := s.find(mux.Vars(request)["proxy"])
		if err != nil {
			handle(response, request) // which answers that there is none
			return
		}
		p.change(anew, func() { handle(response, request) })
	}
}
