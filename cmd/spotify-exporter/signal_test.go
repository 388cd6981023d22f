package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRunEndsBySignal ends the daemon as a service manager, a terminal and a closed
// connection do: cleanly, with a line that names the signal.
func TestRunEndsBySignal(t *testing.T) {
	for signal, named := range map[os.Signal]string{
		syscall.SIGTERM: "terminated signal received",
		syscall.SIGINT:  "interrupt signal received",
		syscall.SIGHUP:  "hangup signal received",
	} {
		setEnvironment(t, map[string]string{"SPOTIFY_CLIENT_ID": "client"})
		cmd, errs := child(t, "run")
		startAndWait(t, cmd, errs)
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", signal, err)
		}
		if log := errs.String(); !strings.Contains(log, `"msg":"stopped"`) || !strings.Contains(log, named) {
			t.Errorf("%v: the log does not say %q: %s", signal, named, log)
		}
	}
}

// TestRunUnderNohup sends the signal of a closed terminal to a daemon that was started
// to outlive it.
func TestRunUnderNohup(t *testing.T) {
	setEnvironment(t, map[string]string{"SPOTIFY_CLIENT_ID": "client"})
	program, errs := child(t, "run")
	cmd := exec.Command("nohup", program.Path, "run")
	cmd.Env, cmd.Stderr = program.Env, program.Stderr
	startAndWait(t, cmd, errs)
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if get(t, startedURL(errs.String())+"/-/healthy") == "" {
		t.Errorf("it does not serve after SIGHUP: %s", errs)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(errs.String(), "terminated signal received") {
		t.Errorf("%v: %s", err, errs)
	}
}

// startAndWait starts a daemon that writes its log to errs and waits until it serves.
func startAndWait(t *testing.T, cmd *exec.Cmd, errs fmt.Stringer) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventually(t, 20*time.Second, "the daemon has started", func() bool { return startedURL(errs.String()) != "" })
}
