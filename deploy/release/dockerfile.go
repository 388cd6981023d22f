package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// A recipe is the Dockerfile: how to build what an image holds, and what is to be said of it.
type recipe struct {
	scripts []string // of the shell, which build below /out
	copies  []folderCopy
	config  v1.Config // without labels and variables
	labels  instructions.KeyValuePairs
	env     instructions.KeyValuePairs
}

// A folderCopy copies what is in a folder to the top of the image.
type folderCopy struct {
	folder string // below /out
	owner
}

// An owner is the user and the group of files in an archive.
type owner struct{ user, group int }

// out is the folder of the Dockerfile in which its first stage leaves what it has built.
const out = "/out/"

// readRecipe reads the Dockerfile, so that both ways to build an image give the same one. What it cannot carry out is an
// error.
func readRecipe(file string) (recipe, error) {
	f, err := os.Open(file)
	if err != nil {
		return recipe{}, err
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err != nil {
		return recipe{}, err
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return recipe{}, err
	}
	if len(stages) != 2 || stages[1].BaseName != "scratch" {
		return recipe{}, fmt.Errorf("%s: want two stages, of which the second starts from scratch", file)
	}
	var r recipe
	for _, command := range stages[0].Commands {
		if run, ok := command.(*instructions.RunCommand); ok { // the others make the clone, which is there
			r.scripts = append(r.scripts, strings.Join(run.CmdLine, " "))
		}
	}
	for _, command := range stages[1].Commands {
		if err := r.add(command); err != nil {
			return recipe{}, fmt.Errorf("%s: %s: %w", file, command, err)
		}
	}
	return r, nil
}

// add takes an instruction of the second stage over.
func (r *recipe) add(command instructions.Command) error {
	switch c := command.(type) {
	case *instructions.ArgCommand: // expanded has their values
	case *instructions.LabelCommand:
		r.labels = append(r.labels, c.Labels...)
	case *instructions.EnvCommand:
		r.env = append(r.env, c.Env...)
	case *instructions.VolumeCommand:
		r.config.Volumes = set(c.Volumes, "")
	case *instructions.ExposeCommand:
		r.config.ExposedPorts = set(c.Ports, "/tcp")
	case *instructions.UserCommand:
		r.config.User = c.User
	case *instructions.EntrypointCommand:
		r.config.Entrypoint = c.CmdLine
	case *instructions.CmdCommand:
		r.config.Cmd = c.CmdLine
	case *instructions.HealthCheckCommand:
		r.config.Healthcheck = &v1.HealthConfig{
			Test: c.Health.Test, Interval: c.Health.Interval, Timeout: c.Health.Timeout, StartPeriod: c.Health.StartPeriod, Retries: c.Health.Retries,
		}
	case *instructions.CopyCommand:
		copied, err := folderCopyOf(c)
		if err != nil {
			return err
		}
		r.copies = append(r.copies, copied)
	default:
		return fmt.Errorf("deploy/release does not know %s", command.Name())
	}
	return nil
}

// expanded returns the configuration of an image with the values of the arguments, each as NAME=VALUE.
func (r recipe) expanded(arguments ...string) (v1.Config, error) {
	lexer := shell.NewLex('\\')
	word := func(text string) (string, error) {
		result, unset, err := lexer.ProcessWord(text, shell.EnvsFromSlice(arguments))
		if err == nil && len(unset) > 0 {
			err = fmt.Errorf("nothing sets %s", strings.Join(slices.Collect(maps.Keys(unset)), ", "))
		}
		return result, err
	}
	config := r.config
	config.Labels = make(map[string]string)
	for _, label := range r.labels {
		value, err := word(label.Value)
		if err != nil {
			return config, fmt.Errorf("label %s: %w", label.Key, err)
		}
		config.Labels[label.Key] = value
	}
	for _, variable := range r.env {
		value, err := word(variable.Value)
		if err != nil {
			return config, fmt.Errorf("variable %s: %w", variable.Key, err)
		}
		config.Env = append(config.Env, variable.Key+"="+value)
	}
	return config, nil
}

// folderCopyOf reads such as COPY --from=build --chown=1:2 /out/FOLDER/ /
func folderCopyOf(c *instructions.CopyCommand) (folderCopy, error) {
	var copied folderCopy
	if c.From != "build" || len(c.SourcePaths) != 1 || !strings.HasPrefix(c.SourcePaths[0], out) || c.DestPath != "/" || c.Chmod != "" {
		return copied, fmt.Errorf("want COPY --from=build --chown=USER:GROUP %sFOLDER/ /", out)
	}
	copied.folder = strings.TrimPrefix(c.SourcePaths[0], out)
	if c.Chown == "" {
		return copied, nil
	}
	if _, err := fmt.Sscanf(c.Chown, "%d:%d", &copied.user, &copied.group); err != nil {
		return copied, fmt.Errorf("--chown=%s: want two numbers", c.Chown)
	}
	return copied, nil
}

// set returns the set of the names, each with the suffix unless it has it.
func set(names []string, suffix string) map[string]struct{} {
	all := make(map[string]struct{})
	for _, name := range names {
		all[strings.TrimSuffix(name, suffix)+suffix] = struct{}{}
	}
	return all
}
