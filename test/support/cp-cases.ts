/**
 * What `docker cp` does, rule by rule: arguments (`C:` stands for the container), exit status and what it says. Recorded with
 * docker CLI 28 on dockerd 20.10; where the text of an error is an engine's own, the part that matters is here.
 */
export type Case = readonly [args: string, status: number, told?: string];

export const localFiles = `mkdir -p dir/sub; echo f > file; echo g > dir/g; ln -s dir ldir; ln -s file lfile; ln -s nowhere dang
  echo c > a:b; chmod 640 dir/g; ln dir/g dir/h; chown 1234:1235 file`;

export const containerDestinations =
  "mkdir -p /w/ed; echo o > /w/ef; ln -s ed /w/ld; ln -s ef /w/lf; ln -s made /w/dang; mknod /w/null c 1 3";

export const into: readonly Case[] = [
  // a file: under a new name, onto a file, into a directory, through symlinks
  ["file C:/w/new", 0],
  ["file C:/w/newdir/", 1, "no such directory"],
  ["file C:/w/ef", 0],
  ["file C:/w/ed", 0],
  ["file C:/w/ed/", 0],
  ["file C:/w/ld", 0],
  ["file C:/w/lf", 0],
  ["file C:/w/dang", 0],
  ["file C:/none/x", 1, "Could not find the file /none in container C"],
  ["file C:w/relative", 0],
  ["file C:/w/null", 1, 'destination "C:/w/null" must be a directory or a regular file: got a device'],
  ["file C:", 1, "no such directory"],
  // a directory: under a new name, into a directory, its contents alone
  ["dir C:/w/nd", 0],
  ["dir C:/w/nd2/", 0],
  ["dir C:/w/ef", 1, "cannot copy directory"],
  ["dir C:/w/ed", 0],
  ["dir/. C:/w/ed", 0],
  ["dir/. C:/w/nd3", 0],
  ["dir/. C:/w/none/.", 1, "Could not find the file /w/none in container C"],
  ["dir C:/none/x", 1, "Could not find the file /none in container C"],
  ["dir/./sub/.. C:/w/odd", 0],
  [". C:/w/dot", 0],
  // symlinks as they are, and followed
  ["ldir C:/w/ed", 0],
  ["ldir/ C:/w/ed", 1, 'cannot overwrite non-directory "/w/ed/ldir" with directory "/w/ed"'],
  ["lfile C:/w/ed", 0],
  ["-L lfile C:/w/followed", 0],
  ["-L ldir C:/w/nl", 0],
  ["-L dang C:/w/ed", 1, "no such file or directory"],
  ["dang C:/w/ed", 0],
  // what is not there, and how arguments are read
  ["nofile C:/w/ed", 1, "nofile: no such file or directory"],
  ["file/ C:/w/ed", 1, "not a directory"],
  ["a:b C:/w/ed", 1, "copying between containers is not supported"],
  ["./a:b C:/w/ed", 0],
  ["C:/w/ed C:/w/x", 1, "copying between containers is not supported"],
  ["file file2", 1, "must specify at least one container source"],
  ["file :/x", 1, "must specify at least one container source"],
  ["- C:/w/ed", 0],
  ["- C:/w/ef", 1, 'destination "C:/w/ef" must be a directory'],
  ["file nocontainer:/x", 1, "No such container: nocontainer"],
  ["-q file C:/w/quiet", 0],
  ["-a file C:/w/archive", 0],
];

export const localDestinations = "mkdir ed; echo o > ef; ln -s ed ld; ln -s ef lf; ln -s made dang";

export const containerFiles = `mkdir -p /s/dir/sub; echo f > /s/file; echo g > /s/dir/g; ln -s dir /s/ldir; ln -s file /s/lfile; ln -s nowhere /s/dang
  ln -s /etc /s/dir/esc; chown 1000:1000 /s/file; ln /s/dir/g /s/dir/h; chmod 751 /s/dir; chmod 4755 /s/dir/g; mkfifo /s/fifo; chmod 500 /s/dir/sub`;

export const outOf: readonly Case[] = [
  ["C:/s/file new", 0],
  ["C:/s/file newdir/", 1, "no such directory"],
  ["C:/s/file ef", 0],
  ["C:/s/file ef/", 1, "not a directory"],
  ["C:/s/file ed", 0],
  ["C:/s/file ld", 0],
  ["C:/s/file lf", 0],
  ["C:/s/file dang", 0],
  ["C:/s/file none/x", 1, 'none" does not exist'],
  ["C:/s/file .", 0],
  ["C:s/file relative", 0],
  ["C:/s/file /dev/null", 1, 'invalid output path: "/dev/null" must be a directory or a regular file: got a device'],
  ["C:/s/dir nd", 0],
  ["C:/s/dir nd2/", 0],
  ["C:/s/dir ef", 1, "cannot copy directory"],
  ["C:/s/dir ed", 0],
  ["C:/s/dir/. ed", 0],
  ["C:/s/dir/. nd3", 0],
  ["C:/s/dir none/x", 1, 'none" does not exist'],
  ["C:/s/dir ./x/../nd4", 0],
  ["C:/s/ldir ed", 0],
  ["C:/s/ldir/ ed", 1, "cannot overwrite non-directory"],
  ["C:/s/ldir/. nd5", 0],
  ["C:/s/lfile ed", 0],
  ["-L C:/s/lfile followed", 0],
  ["-L C:/s/ldir nd6", 0],
  ["-L C:/s/dang ed", 1, "Could not find the file /s/nowhere in container C"],
  ["C:/s/dang ed", 0],
  ["C:/s/fifo ed", 0],
  ["C:/s/nofile ed", 1, "Could not find the file /s/nofile in container C"],
  ["C:/s/file/ ed", 1, "not a directory"],
  ["C: all", 1, "bad parameter: path"],
  ["nocontainer:/x .", 1, "No such container: nocontainer"],
  ["-a C:/s/file archive", 0],
  ["-q C:/s/file quiet", 0],
  ["C:/proc/cpuinfo .", 1, "Could not find the file /proc/cpuinfo in container C"],
];

/** Prints what is below the working directory: kind, mode, names, targets and links' numbers. */
export const listing = `find . | sort | while read -r f; do
    if [ -L "$f" ]; then echo "$f -> $(readlink "$f")"; else echo "$f $(stat -c '%a %h %F' "$f" | sed 's/regular empty file/regular file/')"; fi; done`;
