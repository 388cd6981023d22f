package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// becomeOwner makes root the owner of a folder for the rest of the process, if
// that is somebody else: the daemon runs as the owner, and could not read what
// root leaves there.
func becomeOwner(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	user, group := int(owner.Uid), int(owner.Gid)
	if err := errors.Join(syscall.Setgroups([]int{group}), syscall.Setgid(group), syscall.Setuid(user)); err != nil {
		return fmt.Errorf("become its owner, user id %d: %w", user, err)
	}
	return nil
}
