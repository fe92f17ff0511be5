import Foundation
import MartletTestKit
import Testing

@testable import Martlet

@Suite(
    "The memfd stage", .serialized, .leakChecked,
    .enabled(if: BootstrapFixture.isRoot, "needs root, for mounts of its own"))
struct MemfdStageTests {
    /// How each interpreter is made the only one that works.
    static let ways: [(name: String, others: [String], script: String?)] = [
        ("python3", ["python", "perl"], nil),
        ("perl", ["python", "python3"], nil),
        // What Python before 3.8 has instead of os.memfd_create.
        (
            "python", ["python3", "perl"],
            #"f=$1 p=$2;shift 2;exec /usr/bin/python3 $f "import os;del os.memfd_create;$p" "$@""#
        ),
    ]

    @Test("starts the agent where every mount is noexec", arguments: 0..<3, ImagePolicy.allCases)
    func starts(way: Int, policy: ImagePolicy) throws {
        let way = Self.ways[way]
        guard way.name == "perl" || BootstrapFixture.find("python3") != nil else { return }
        try BootstrapFixture().with { fixture in
            for name in way.others { try fixture.addTool(name, script: "exit 127") }
            if let script = way.script { try fixture.addTool(way.name, script: script) }
            // The tools are scripts, so their folder stays executable, and /var/tmp is no place by another reason.
            let setup =
                PlaceTests.noexecEverywhere + "\nmount --bind \(fixture.tools) \(fixture.tools)"
                + "\nmount -o remount,bind,exec \(fixture.tools)"
            for encoding in [PartEncoding.raw, .gzip] {
                var far = try fixture.farSide(policy, setup: setup)
                far.roundTrip = .seconds(1)
                far.encodings = [encoding]
                let outcome = try far.run()
                #expect(outcome.isLinked && outcome.ready.map(\.place) == ["memfd-" + way.name], "\(outcome)")
                #expect(outcome.sent == [way.name == "perl" ? .raw : encoding])
                #expect(outcome.facts["argv0"] == "martlet-agent" && outcome.facts["sigpipe"] == "default")
                #expect(outcome.facts["exe"]?.hasPrefix("/memfd:martlet") == true && outcome.status == 5)
                #expect(outcome.facts["env:SWIFT_ROOT"] == "/" && outcome.facts["cwd"] == "/run")
            }
        }
    }

    @Test("gives way to the next interpreter when one fails, before and after the bytes")
    func givesWay() throws {
        try BootstrapFixture().with { fixture in
            let broken = #"f=$1 p=$2;shift 2;exec /usr/bin/python3 $f "import os;os.FAILS;$p" "$@""#
            let early = broken.replacingOccurrences(of: "FAILS", with: "memfd_create=open")
            let late = broken.replacingOccurrences(of: "FAILS", with: "execve=open")
            try fixture.addTool("python3", script: early)
            try fixture.addTool("python", script: late)
            let setup =
                PlaceTests.noexecEverywhere + "\nmount --bind \(fixture.tools) \(fixture.tools)"
                + "\nmount -o remount,bind,exec \(fixture.tools)"
            let outcome = try fixture.farSide(.nothing, setup: setup).run()
            #expect(outcome.isLinked && outcome.ready.map(\.place) == ["memfd-python", "memfd-perl"], "\(outcome)")
            #expect(outcome.again == PlaceTests.failures("memfd-python3:no-memfd, memfd-python:exec-failed"))
        }
    }

    @Test("ends when the input does", arguments: 0..<3)
    func truncated(way: Int) throws {
        let way = Self.ways[way]
        try BootstrapFixture().with { fixture in
            for name in way.others { try fixture.addTool(name, script: "exit 127") }
            if let script = way.script { try fixture.addTool(way.name, script: script) }
            let setup =
                PlaceTests.noexecEverywhere + "\nmount --bind \(fixture.tools) \(fixture.tools)"
                + "\nmount -o remount,bind,exec \(fixture.tools)"
            var far = try fixture.farSide(.memory, setup: setup)
            far.cutAfter = 100_000
            let outcome = try far.run()
            #expect(outcome.failure?.kind == .ended && outcome.status == SecondStage.inputEndedStatus)
        }
    }

    static let canForbid = FileManager.default.fileExists(atPath: "/proc/sys/vm/memfd_noexec")

    @Test("is no way where the kernel forbids it", .enabled(if: canForbid, "needs Linux 6.3"))
    func forbidden() throws {
        try BootstrapFixture().with { fixture in
            let inner = PlaceTests.noexecEverywhere + "\necho 2 >/proc/sys/vm/memfd_noexec\nexec \"$@\""
            var far = try fixture.farSide(.memory)
            far.shell = ["unshare", "-m", "-p", "-f", "--mount-proc", "/bin/sh", "-c", inner, "sh", "sh", "-c"]
            let outcome = try far.run()
            #expect(outcome.failure?.kind == .noPlace, "\(outcome)")
            #expect(outcome.failure?.places.suffix(3).map(\.reason) == ["no-memfd", "absent", "no-memfd"])
        }
    }
}
