import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

/// Something that makes containers. Each is run inside of a throw-away machine, and so ends with it, daemons and all.
///
/// In each of them runs `host`, which sees the machine's own files, and `tiny`, which has busybox and nothing else.
enum Box: String, CaseIterable, Sendable {
    case podman, docker, lxc, lxd
    /// systemd-nspawn, chroot, nsenter and unshare find what they need: `/srv/host` and `/srv/tiny`.
    case directories
    /// A machine of systemd-machined's, in a machine that runs systemd.
    case systemd

    /// What must be installed.
    private var programs: [String] {
        switch self {
        case .podman: ["busybox", "podman", "runc"]
        case .docker: ["busybox", "docker", "dockerd"]
        case .lxc: ["busybox", "lxc-start", "lxc-attach"]
        case .lxd: ["busybox", "lxc", "lxd"]
        case .directories: ["busybox", "systemd-nspawn"]
        case .systemd: ["systemd-nspawn", "systemd-run", "dbus-daemon", "/lib/systemd/systemd"]
        }
    }

    /// Whether it works on this machine: it is tried out, without anything of ours.
    var works: Bool {
        get async {
            for program in programs {
                guard
                    (try? await runProgram(["sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; command -v \(program)"]))?.exitCode
                        == 0
                else { return false }
            }
            guard await ThrowawayMachine.obstacle() == nil else { return false }
            do {
                try await Box.withoutLeftGroups { try await withThrowawayMachine { try await start(in: $0) } }
                return true
            } catch {
                print("\(rawValue) does not work here: \(error)")
                return false
            }
        }
    }

    /// Makes its containers.
    func start(in machine: ThrowawayMachine) async throws {
        let result = try await machine.run(Box.common + "\n" + script)
        guard result.exitCode == 0 else {
            throw PlainError(text: "\(rawValue) does not start: \(result.output)\(result.errors)")
        }
    }

    /// The system's control groups are outlived by those that containers made in them: runs `body`, and removes these.
    static func withoutLeftGroups<R>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
    ) async throws -> R {
        func groups() -> Set<String> {
            let root = "/sys/fs/cgroup"
            func folders(_ path: String) -> [String] {
                ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).map { "\(path)/\($0)" }
            }
            return Set(
                (folders(root) + folders(root).flatMap(folders)).filter { access("\($0)/cgroup.procs", F_OK) == 0 })
        }
        let before = groups()
        func remove() async {
            // Engines that were killed with their machine take their time where others work.
            await eventually(within: .seconds(60), "the end of the containers' control groups") {
                let known = ["libpod_parent", "machine.slice", "docker", "lxc.", "lxd", "payload", "supervisor"]
                let left = groups().subtracting(before).filter { path in
                    known.contains { (path.split(separator: "/").last ?? "").hasPrefix($0) }
                }
                guard !left.isEmpty else { return true }
                let find = "find \"$@\" -depth -type d -exec rmdir {} +"
                return try await runProgram(["sh", "-c", find, "sh"] + left.sorted()).exitCode == 0
            }
        }
        do {
            let result = try await body()
            await remove()
            return result
        } catch {
            await remove()
            throw error
        }
    }

    /// `/srv/tiny`, `/srv/host` and the control groups.
    private static let common = #"""
        set -eu
        [ ! -e /srv/tiny ] || exit 0
        mount -t tmpfs groups /sys/fs/cgroup
        if grep -qv ^0:: /proc/self/cgroup; then
            while IFS=: read -r _ names _; do
                case $names in
                "") continue ;;
                name=*) place=${names#name=} ;;
                *) place=$names ;;
                esac
                mkdir "/sys/fs/cgroup/$place"
                case $names in name=*) names=none,$names ;; esac
                mount -t cgroup -o "$names" groups "/sys/fs/cgroup/$place"
            done </proc/self/cgroup
        else
            mount -t cgroup2 groups /sys/fs/cgroup
        fi
        mkdir -p /srv/tiny /srv/host /srv/layers
        mount -t tmpfs layers /srv/layers
        mkdir /srv/layers/upper /srv/layers/work
        mount -t overlay -o lowerdir=/,upperdir=/srv/layers/upper,workdir=/srv/layers/work layers /srv/host
        cd /srv/tiny
        mkdir -p bin etc root tmp var/tmp proc sys dev run usr/bin
        chmod 1777 tmp var/tmp
        cp "$(command -v busybox)" bin/busybox
        for name in $(bin/busybox --list); do [ "$name" = busybox ] || ln -s busybox "bin/$name"; done
        echo root:x:0:0:root:/root:/bin/sh >etc/passwd
        echo root:x:0: >etc/group
        mkdir /srv/bare
        cp bin/busybox /srv/bare/sleep
        """#

    private var script: String {
        switch self {
        case .podman:
            #"""
            mkdir -p /var/lib/containers /etc/containers
            mount -t tmpfs pods /var/lib/containers
            printf '%s\n' '[containers]' "default_ulimits = [\"nofile=1024:$(ulimit -Hn | sed s/unlimited/4096/)\", \"nproc=4096:4096\"]" \
                '[engine]' 'runtime = "runc"' 'cgroup_manager = "cgroupfs"' 'events_logger = "file"' >/etc/containers/containers.conf
            tar -C /srv/tiny -c . | podman import -q - tiny:1
            tar -C /srv/bare -c . | podman import -q - bare:1
            podman run -d --name host --hostname host --network none --rootfs /:O sleep 100000
            podman run -d --name tiny --network none tiny:1 sleep 100000
            podman run -d --name bare --network none bare:1 /sleep 100000
            """#
        case .docker:
            #"""
            mkdir -p /var/lib/docker /srv/shell/etc /srv/shell/tmp /srv/shell/root /srv/shell/usr
            cp /etc/passwd /etc/group /srv/shell/etc
            chmod 1777 /srv/shell/tmp
            for link in bin sbin lib lib64; do ln -s usr/$link /srv/shell/$link; done
            mount -t tmpfs docker /var/lib/docker
            setsid dockerd --bridge=none --iptables=false >/tmp/dockerd.log 2>&1 </dev/null &
            for _ in $(seq 250); do docker version >/dev/null 2>&1 && break; sleep 0.1; done
            docker version >/dev/null 2>&1 || { tail /tmp/dockerd.log; exit 1; }
            for image in tiny bare shell; do tar -C /srv/$image -c . | docker import - $image:1; done
            docker run -d --name host --hostname host --network none -v /usr:/usr:ro -v /etc:/etc:ro -v /opt:/opt:ro shell:1 sleep 100000
            docker run -d --name tiny --network none tiny:1 sleep 100000
            docker run -d --name bare --network none bare:1 /sleep 100000
            """#
        case .lxc:
            #"""
            for name in host tiny; do
                mkdir -p /var/lib/lxc/$name
                printf '%s\n' "lxc.rootfs.path = dir:/srv/$name" "lxc.uts.name = $name" 'lxc.net.0.type = empty' \
                    'lxc.init.cmd = /bin/sleep 100000' 'lxc.mount.auto = proc:rw sys:ro' 'lxc.apparmor.profile = unconfined' \
                    'lxc.autodev = 1' 'lxc.tty.max = 0' 'lxc.pty.max = 64' >/var/lib/lxc/$name/config
                lxc-start -n $name </dev/null
            done
            """#
        case .lxd:
            #"""
            mkdir -p /var/lib/lxd
            mount -t tmpfs lxd /var/lib/lxd
            setsid lxd --group root >/tmp/lxd.log 2>&1 </dev/null &
            export HOME=/root
            for _ in $(seq 250); do lxc version 2>/dev/null | grep -q 'Server version: [0-9]' && break; sleep 0.1; done
            printf '%s\n' 'storage_pools: [{name: default, driver: dir}]' \
                'profiles: [{name: default, devices: {root: {path: /, pool: default, type: disk}}}]' | lxd init --preseed
            mkdir -p /srv/image/rootfs
            cp -a /srv/tiny/. /srv/image/rootfs
            mkdir -p /srv/image/rootfs/sbin
            ln -s /bin/busybox /srv/image/rootfs/sbin/init
            printf '%s\n' "architecture: $(uname -m)" 'creation_date: 1700000000' 'properties: {description: tiny, os: busybox}' \
                >/srv/image/metadata.yaml
            tar -C /srv/image -cf /srv/image.tar metadata.yaml rootfs
            lxc image import /srv/image.tar --alias tiny
            lxc launch tiny tiny -c raw.lxc='lxc.init.cmd=/bin/sleep 100000' -c security.privileged=true </dev/null
            """#
        case .directories: "systemd-nspawn --version"
        case .systemd:
            // What the outer one may write is the machine's; the inner one uses the same.
            #"""
            mkdir -p /srv/outer
            mount --bind / /srv/outer
            cd /
            systemd-nspawn -q -b --register=no --keep-unit --private-network --link-journal=no --console=read-only -M outer \
                -D /srv/outer systemd.unit=basic.target >/tmp/outer.log 2>&1 </dev/null &
            first=$!
            for _ in $(seq 250); do
                leader=$(pgrep -P $first systemd) && nsenter -t "$leader" -a systemctl is-active dbus.socket 2>/dev/null && break
                sleep 0.1
            done
            echo "$leader" >/srv/leader
            nsenter -t "$leader" -a sh -c '
                mkdir -p /run/inner
                mount --bind / /run/inner
                systemd-run -q --unit=inner -p Delegate=yes systemd-nspawn -q -b --keep-unit --private-network --link-journal=no \
                    --console=read-only -M inner -D /run/inner systemd.unit=basic.target
                for _ in $(seq 250); do systemd-run -q -M inner --pipe --wait true 2>/dev/null && exit; sleep 0.1; done
                exit 1'
            """#
        }
    }
}

/// Runs `body` with a context in a machine where containers of some kinds run.
func withBoxes(
    _ boxes: Box..., options: MartletOptions = OutputLog().options, setup: String = "",
    _ body: @Sendable (Context, ThrowawayMachine) async throws -> Void
) async throws {
    var configuration = ThrowawayMachine.Configuration()
    configuration.setup = setup
    try await Box.withoutLeftGroups {
        try await withThrowawayMachine(configuration) { machine in
            for box in boxes { try await box.start(in: machine) }
            try await withMartlet(options) { martlet in
                try await body(try await martlet.connect(.command(machine.commandPrefix + ["/bin/sh", "-c"])), machine)
            }
        }
    }
}

extension ThrowawayMachine {
    /// The agents in containers: they have process numbers of their own.
    func agentsInContainers() -> [ProcessTable.Entry] {
        let space = processSpace(pid)
        let byNumber = Dictionary(ProcessTable.all().map { ($0.pid, $0) }, uniquingKeysWith: { first, _ in first })
        func isBelow(_ entry: ProcessTable.Entry) -> Bool {
            var parent = byNumber[entry.parent]
            while let next = parent, processSpace(next.pid) != space { parent = byNumber[next.parent] }
            return parent != nil && processSpace(entry.pid) != space
        }
        return byNumber.values.filter { $0.commandLine.first?.hasPrefix("martlet:") == true && isBelow($0) }
    }

    /// What a program prints, without the line's end.
    func text(_ command: String) async throws -> String {
        let result = try await run(command)
        return (result.output + result.errors).trimmingCharacters(in: .newlines)
    }
}

/// Names the space that a process's number is from.
private func processSpace(_ pid: Int32) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/pid")
}
