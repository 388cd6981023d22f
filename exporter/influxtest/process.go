package influxtest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	startTimeout = time.Minute // replaying a long write-ahead log on a busy machine takes its time
	stopTimeout  = 30 * time.Second
)

// process is an influxd on an address and a directory that stay the same when it is started again.
type process struct {
	binary  binary
	dir     string
	address string
	flags   []string // more of them, for 2.x

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended

	janitor *exec.Cmd
	alive   io.WriteCloser // the janitor's standard input, open as long as this process lives
}

// janitor waits for the end of its standard input, which the kernel closes however a test binary dies, then ends
// the influxd and removes its directory. A Ctrl-C reaches it too, as a member of the group, and must not end it first.
const janitor = `trap "" INT TERM HUP
cat >/dev/null
[ -f "$1/pid" ] && kill -KILL "$(cat "$1/pid")"
rm -rf "$1" || { sleep 1; rm -rf "$1"; }` // influxd may have been in the middle of making a file

func newProcess(b binary) (*process, error) {
	dir, err := os.MkdirTemp("", "influxtest-")
	if err != nil {
		return nil, fmt.Errorf("make data directory of influxd: %w", err)
	}
	p := &process{binary: b, dir: dir, janitor: exec.Command("sh", "-c", janitor, "janitor", dir)}
	p.alive, err = p.janitor.StdinPipe()
	if err == nil {
		err = p.janitor.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start janitor of influxd: %w", err), os.RemoveAll(dir))
	}
	return p, nil
}

// start runs influxd until it answers. The first start chooses the port; another process may have been quicker.
func (p *process) start() error {
	if p.address != "" {
		return p.run()
	}
	var err error
	for range 3 {
		if p.address, err = freeAddress(); err != nil {
			return err
		}
		if err = p.run(); err == nil {
			return nil
		}
	}
	return err
}

// freeAddress takes a port below those that kernels give to outgoing connections, so that it stays free for a
// restart while the server is down.
func freeAddress() (string, error) {
	for {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
		l, err := net.Listen("tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("find a free port: %w", err)
		}
		return address, l.Close()
	}
}

func (p *process) run() error {
	log, err := os.OpenFile(filepath.Join(p.dir, "influxd.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log of influxd: %w", err)
	}
	defer func() { _ = log.Close() }() // influxd has its own descriptor
	args, env := p.options()
	p.cmd = exec.Command(p.binary.path, args...)
	p.cmd.Dir, p.cmd.Env = p.dir, env // neither a config file nor INFLUXD_… of the developer
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start influxd: %w", err)
	}
	exited := make(chan struct{})
	p.exited = exited
	cmd := p.cmd
	go func() {
		_ = cmd.Wait() // how it ended is of no interest, its log tells why
		close(exited)
	}()
	pid := []byte(strconv.Itoa(p.cmd.Process.Pid))
	if err := os.WriteFile(filepath.Join(p.dir, "pid"), pid, 0o600); err != nil {
		return errors.Join(fmt.Errorf("write pid of influxd: %w", err), p.kill())
	}
	if err := p.await(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return errors.Join(fmt.Errorf("start %s %s: %w\n%s", p.binary.path, p.binary.version, err, text[max(0, len(text)-2000):]), p.kill())
	}
	return nil
}

// options are the flags and the environment of influxd: everything below dir, nothing sent anywhere.
func (p *process) options() (args, env []string) {
	env = []string{"HOME=" + p.dir, "TMPDIR=" + p.dir, "PATH=" + os.Getenv("PATH")}
	if p.binary.v2() {
		return append([]string{
			"--http-bind-address=" + p.address,
			"--bolt-path=" + filepath.Join(p.dir, "influxd.bolt"),
			"--sqlite-path=" + filepath.Join(p.dir, "influxd.sqlite"),
			"--engine-path=" + filepath.Join(p.dir, "engine"),
			"--store=disk", "--log-level=error", "--no-tasks", "--reporting-disabled",
		}, p.flags...), env
	}
	return []string{"run", "-config", os.DevNull}, append(env,
		"INFLUXDB_BIND_ADDRESS=127.0.0.1:0", // its backup service
		"INFLUXDB_REPORTING_DISABLED=true",
		"INFLUXDB_META_DIR="+filepath.Join(p.dir, "meta"),
		"INFLUXDB_DATA_DIR="+filepath.Join(p.dir, "data"),
		"INFLUXDB_DATA_WAL_DIR="+filepath.Join(p.dir, "wal"),
		"INFLUXDB_DATA_INDEX_VERSION=tsi1",
		"INFLUXDB_DATA_QUERY_LOG_ENABLED=false",
		"INFLUXDB_MONITOR_STORE_ENABLED=false",
		"INFLUXDB_HTTP_BIND_ADDRESS="+p.address,
		"INFLUXDB_HTTP_AUTH_ENABLED=true",
		"INFLUXDB_HTTP_FLUX_ENABLED=true",
		"INFLUXDB_HTTP_LOG_ENABLED=false",
	)
}

// await returns when the server answers for the first time.
func (p *process) await() error {
	deadline := time.After(startTimeout)
	for {
		res, err := http.Get(p.url() + "/health")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(res.Status)
		}
		select {
		case <-p.exited:
			return errors.New("it exited")
		case <-deadline:
			return fmt.Errorf("not ready after %s: %w", startTimeout, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) url() string { return "http://" + p.address }

// stop ends influxd with SIGTERM.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop influxd: %w", err)
	}
	select {
	case <-p.exited:
		return os.Remove(filepath.Join(p.dir, "pid"))
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("influxd still runs %s after SIGTERM", stopTimeout), p.kill())
	}
}

// kill ends influxd with SIGKILL, if it runs.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill influxd: %w", err)
	}
	<-p.exited
	if err := os.Remove(filepath.Join(p.dir, "pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// remove ends influxd and has the janitor take its data away.
func (p *process) remove() error {
	var err error
	if p.cmd != nil && p.cmd.Process != nil {
		err = p.kill()
	}
	return errors.Join(err, p.alive.Close(), p.janitor.Wait())
}
