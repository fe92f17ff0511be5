import Foundation
import MartletTestKit
import Testing

@testable import Martlet

private let needsRoot: Comment = "needs root, for mounts of its own"

@Suite("Places for the image", .serialized, .leakChecked, .enabled(if: BootstrapFixture.isRoot, needsRoot))
struct PlaceTests {
    /// Every place mounted noexec; what lies below /var/tmp stays visible.
    static let noexecEverywhere = """
        for d in "$HOME" /dev/shm /run /tmp; do mount -t tmpfs -o noexec none "$d" || exit; done
        mount --bind /var/tmp /var/tmp && mount -o remount,bind,noexec /var/tmp || exit
        cd /run
        """

    static func failures(_ text: String) -> [PlaceFailure] {
        text.split(separator: ",").compactMap { PlaceFailure($0.drop { $0 == " " }) }
    }

    @Test("are reported with their reasons when none is left")
    func noneLeft() throws {
        try BootstrapFixture().with { fixture in
            var far = try fixture.farSide(.disk, setup: Self.noexecEverywhere)
            try fixture.useBusyboxOnly(&far)
            // busybox lives outside of the mounts, but nothing may hold the interpreters.
            let outcome = try far.run()
            #expect(outcome.failure?.kind == .noPlace && outcome.status == SecondStage.noPlaceStatus, "\(outcome)")
            let expected = """
                cache:noexec, /dev/shm:noexec, XDG_RUNTIME_DIR:unset, /run:noexec, /tmp:noexec, TMPDIR:unset, \
                /var/tmp:noexec, HOME:noexec, PWD:noexec, memfd-python3:absent, memfd-python:absent, memfd-perl:absent
                """
            #expect(outcome.failure?.places == Self.failures(expected))
        }
    }

    @Test("of RAM are told from others, with and without stat", arguments: [true, false])
    func memory(hasStat: Bool) throws {
        try BootstrapFixture().with { fixture in
            let setup = """
                mount -t tmpfs -o ro none /dev/shm && mkdir "$HOME/x" && mount -t tmpfs -o noexec none "$HOME/x" || exit
                mount -t tmpfs -o size=300k none /run && mount --bind "$HOME" /tmp || exit
                """
            var far = try fixture.farSide(.memory, setup: setup)
            // busybox's own shell would not look for another stat.
            if !hasStat { try fixture.useAsSh("dash") }
            try fixture.useBusyboxOnly(&far)
            if !hasStat { try fixture.addTool("stat", script: "exit 1") }
            far.environment["XDG_RUNTIME_DIR"] = fixture.home + "/x"
            far.environment["TMPDIR"] = "/no/where"
            let outcome = try far.run()
            let expected = """
                /dev/shm:read-only, XDG_RUNTIME_DIR:noexec, /run:no-space, /tmp:not-ram, TMPDIR:missing, \
                memfd-python3:absent, memfd-python:absent, memfd-perl:absent
                """
            #expect(outcome.failure?.places == Self.failures(expected), "\(outcome)")
        }
    }

    /// busybox's shell would not look for another df.
    static let shellsWithTools = SecondStageTests.shells.filter { $0 != "busybox" }

    @Test("that fill up while the image comes give way to the next", arguments: shellsWithTools, PartEncoding.allCases)
    func fullDisk(name: String, encoding: PartEncoding) throws {
        try BootstrapFixture().with { fixture in
            try fixture.useAsSh(name)
            // Nothing knows the free space beforehand, so that the write itself fails.
            try fixture.addTool("df", script: "exit 1")
            let setup = """
                mount -t tmpfs -o size=300k none "$HOME" && mount -t tmpfs -o size=200k none /dev/shm || exit
                mount -t tmpfs none /run
                """
            var far = try fixture.farSide(.disk, setup: setup)
            far.roundTrip = .seconds(1)
            far.encodings = [encoding]
            let outcome = try far.run()
            #expect(outcome.isLinked && outcome.ready.map(\.place) == ["cache", "/dev/shm", "/run"], "\(outcome)")
            // ksh93 loses what a command printed when it captures for the second time.
            let second = name == "ksh" ? "damaged" : "no-space"
            #expect(outcome.again == Self.failures("cache:no-space, /dev/shm:\(second)"))
            #expect(outcome.ready.allSatisfy { $0.freeKiB == nil })
        }
    }

    @Test("that take less than they said are given up at once, and the careful try goes on", arguments: shellsWithTools)
    func quota(name: String) throws {
        try BootstrapFixture().with { fixture in
            try fixture.useAsSh(name)
            // As with a quota: there is room, but not for us.
            try fixture.addTool("df", script: "echo Filesystem 1 2 3 4 5 6;echo none 9999999 1 9999999 1% /")
            let setup = "mount -t tmpfs -o size=300k none \"$HOME\" && mount -t tmpfs none /dev/shm || exit"
            var far = try fixture.farSide(.disk, setup: setup)
            let outcome = try far.run()
            #expect(outcome.failure?.kind == .lost && outcome.failure?.isWorthCare == true, "\(outcome)")
            #expect(outcome.failure?.places == Self.failures("cache:no-space"))
            #expect(BootstrapFixture.leftovers(nonce: far.first.nonce, home: fixture.home).isEmpty)
            far.first = try fixture.first(.disk, isCareful: true, nonce: .random())
            let careful = try far.run()
            #expect(careful.isLinked && careful.ready.map(\.place) == ["cache", "/dev/shm"], "\(careful)")
        }
    }

    @Test("that have not a byte left are not even begun")
    func fullAlready() throws {
        try BootstrapFixture().with { fixture in
            let setup = """
                mount -t tmpfs -o size=64k none /dev/shm || exit
                dd if=/dev/zero of=/dev/shm/x bs=64k count=1; mount -t tmpfs none /run
                """
            let outcome = try fixture.farSide(.nothing, setup: setup).run()
            #expect(outcome.isLinked && outcome.ready.map(\.place) == ["/run"], "\(outcome)")
        }
    }

    @Test("are left to the agent to remove where there is no /proc", arguments: SecondStageTests.shells)
    func noProc(name: String) throws {
        try BootstrapFixture().with { fixture in
            try fixture.useAsSh(name)
            let far = try fixture.farSide(.nothing, setup: "umount -l /proc")
            let outcome = try far.run()
            #expect(outcome.isLinked && outcome.facts["env:MARTLET_REMOVE"]?.hasPrefix("/dev/shm/.martlet-") == true)
            #expect(BootstrapFixture.leftovers(nonce: far.first.nonce, home: fixture.home).isEmpty)
        }
    }

    @Test(
        "serve users whose home serves not",
        arguments: ["chmod 500 home;chown 65534 home", "chown 0 home", "rmdir home", "unset HOME", "HOME=", "HOME=/"])
    func homes(change: String) throws {
        try BootstrapFixture().with { fixture in
            let setup = "cd \(fixture.scratch.path);\(change);cd /"
            let setpriv = try #require(BootstrapFixture.find("setpriv"))
            let shell = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c"]
            let outcome = try fixture.farSide(.disk, shell: shell, setup: setup).run()
            #expect(outcome.isLinked && outcome.ready.map(\.place) == ["/dev/shm"], "\(outcome)")
        }
    }

    @Test("are made in a cache directory that did not exist")
    func cacheHome() throws {
        try BootstrapFixture().with { fixture in
            for _ in 0..<2 {
                var far = try fixture.farSide(.disk)
                far.environment["XDG_CACHE_HOME"] = fixture.home + "/a b/c"
                #expect(try far.run().isLinked)
            }
            #expect(fixture.scratch.contents.contains("home/a b/c/martlet/" + fixture.agent.image.id))
        }
    }

    @Test("are not made in the cache or home of somebody else, however it is named", arguments: SecondStageTests.shells)
    func othersCache(name: String) throws {
        for (existing, cache) in [([], "home/.cache"), (["home/.cache"], "home/.cache"), ([], "home/a/b"), ([], nil)] {
            try BootstrapFixture().with { fixture in
                try fixture.useAsSh(name)
                let folders = ["home"] + existing
                for folder in folders {
                    let path = fixture.scratch.path + "/" + folder
                    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
                    try FileManager.default.setAttributes([.ownerAccountID: 65534], ofItemAtPath: path)
                }
                var far = try fixture.farSide(.disk)
                far.environment["XDG_CACHE_HOME"] = cache.map { fixture.scratch.path + "/" + $0 }
                let outcome = try far.run()
                #expect(outcome.isLinked && outcome.ready.map(\.place) == ["/dev/shm"], "\(outcome)")
                #expect(fixture.scratch.contents == ["bin", "bin/sh"] + folders)
            }
        }
    }

    @Test("are made in a cache directory that is named from where the shell starts", arguments: SecondStageTests.shells)
    func relativeCache(name: String) throws {
        try BootstrapFixture().with { fixture in
            try fixture.useAsSh(name)
            for sent in [1, 0] {
                var far = try fixture.farSide(.disk, setup: "cd \(fixture.home)")
                far.environment["XDG_CACHE_HOME"] = "x/y"
                let outcome = try far.run()
                #expect(outcome.isLinked && outcome.sent.count == sent, "\(outcome)")
            }
            #expect(fixture.scratch.contents.contains("home/x/y/martlet/" + fixture.agent.image.id))
        }
    }
}
