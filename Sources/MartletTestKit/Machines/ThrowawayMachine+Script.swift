extension ThrowawayMachine {
    /// Becomes a machine. Runs in new mount, uts, ipc, pid and net namespaces, so nothing of this is seen outside.
    ///
    /// Takes the machine's name, what its root is, a directory to mount things on, another that stays visible inside
    /// (or nothing), the kilobytes its disks have left (or nothing), the odd traits, and commands to run before it is ready.
    static let script = #"""
        set -eu
        name=$1 root=$2 base=$3 visible=$4 disk=$5 traits=$6 setup=$7
        hostname "$name"
        mkdir "$base/machine"
        mount -t tmpfs -o mode=755 machine "$base/machine"
        cd "$base/machine"
        mkdir upper work new

        case $root in
        host)
            mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay new
            # Nobody was ever here: what this machine has cached would be a way in that a fresh one has not.
            rm -rf new/root/.cache/martlet ;;
        busybox)
            mount -t tmpfs -o mode=755 root new
            mkdir -p new/bin new/sbin new/etc new/root new/usr/bin new/var/tmp new/home new/proc
            chmod 1777 new/var/tmp
            cp "$(command -v busybox)" new/bin/busybox
            echo root:x:0:0:root:/root:/bin/sh >new/etc/passwd
            echo root:x:0: >new/etc/group ;;
        esac

        cd new
        mkdir -p proc sys dev run tmp root etc
        mount -t proc proc proc
        mount -t sysfs sys sys || :
        mount -t tmpfs -o mode=755 dev dev
        mkdir dev/pts dev/shm
        mknod -m 666 dev/null c 1 3
        mknod -m 666 dev/zero c 1 5
        mknod -m 666 dev/full c 1 7
        mknod -m 666 dev/random c 1 8
        mknod -m 666 dev/urandom c 1 9
        mknod -m 666 dev/tty c 5 0
        ln -s /proc/self/fd dev/fd
        ln -s fd/0 dev/stdin
        ln -s fd/1 dev/stdout
        ln -s fd/2 dev/stderr
        ln -s pts/ptmx dev/ptmx
        mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
        mount -t tmpfs -o mode=1777 shm dev/shm
        mount -t tmpfs -o mode=1777 tmp tmp
        mount -t tmpfs -o mode=755 run run
        mkdir -p run/sshd run/lock
        printf '127.0.0.1 localhost %s\n' "$name" >etc/hosts
        [ "$root" = host ] || chroot . /bin/busybox --install -s /bin
        if [ -n "$visible" ]; then
            mkdir -p "./$visible"
            mount --bind "$visible" "./$visible"
        fi

        if [ -n "$disk" ]; then
            for place in . tmp run dev/shm "$base/machine"; do
                [ "$place" = . ] && [ "$root" = host ] && continue
                used=$(df -k "$place" | awk 'END { print $3 }')
                mount -o "remount,size=$((used + disk))k" "$place"
            done
        fi
        mkdir run/.old
        pivot_root . run/.old
        cd /
        umount -l run/.old
        rmdir run/.old
        ip link set lo up 2>/dev/null || ifconfig lo 127.0.0.1 up || :
        [ -z "$setup" ] || sh -c "$setup"

        for trait in $traits; do
            case $trait in
            noexec) for place in /tmp /run /dev/shm; do mount -o remount,noexec "$place"; done ;;
            read-only-root) mount -o remount,ro / ;;
            read-only) for place in /tmp /run /dev/shm /; do mount -o remount,ro "$place"; done ;;
            no-memory-files) echo 2 >/proc/sys/vm/memfd_noexec ;;
            no-proc) umount -l /proc ;;
            esac
        done
        echo ready
        # The first process of a machine reaps what others left.
        exec /bin/sh -c 'while :; do sleep 86400 & wait $!; done'
        """#
}
