import Foundation
import MartletTestKit
import Testing

@testable import Martlet

@Suite("The second stage", .serialized, .leakChecked)
struct SecondStageTests {
    /// What may stand behind the name `sh`.
    static let shells = ["dash", "bash", "busybox", "zsh", "mksh", "ksh", "yash"]
        .filter { BootstrapFixture.find($0) != nil }

    @Test("is one line, short for one file and bounded for many", arguments: ImagePolicy.allCases)
    func size(policy: ImagePolicy) throws {
        let hash = String(repeating: "f", count: 40)
        let parts = try (0..<12).map {
            try #require(ImageParts.Part(name: "libSomethingLonger\($0).so.\($0)", hash: hash, byteCount: 10_000_000))
        }
        let first = try #require(FirstStage(nonce: .random(), policy: policy, imageID: hash))
        for image in [
            try #require(ImageParts(id: hash, isDynamic: false, parts: [parts[0]])),
            try #require(ImageParts(id: hash, isDynamic: true, parts: parts)),
        ] {
            let line = SecondStage.line(image: image, first: first, machine: "x86_64")
            print("second stage, \(policy), \(image.parts.count) part(s): \(line.utf8.count) bytes")
            #expect(line.utf8.count <= (image.isDynamic ? 5200 : 4096))
            #expect(line.last == "\n" && !line.dropLast().contains("\n"))
        }
        for interpreter in MemfdStage.Interpreter.allCases {
            let line = MemfdStage.line(interpreter)
            print("memfd stage, \(interpreter): \(line.utf8.count) bytes")
            #expect(line.utf8.count <= 4096 && !line.dropLast().contains("\n"))
        }
    }

    @Test("brings an agent up under every policy, in every encoding", arguments: shells, ImagePolicy.allCases)
    func policies(name: String, policy: ImagePolicy) throws {
        try BootstrapFixture().with { fixture in
            try fixture.useAsSh(name)
            for encoding in PartEncoding.allCases {
                var far = try fixture.farSide(policy)
                far.roundTrip = .milliseconds(20)
                far.encodings = [encoding]
                let outcome = try far.run()
                #expect(outcome.isLinked && outcome.sent == [encoding], "\(outcome)")
                #expect(outcome.status == 5 && outcome.facts["env:MARTLET_REMOVE"] == "")
                #expect(outcome.ready.first?.freeKiB != nil)
                #expect(BootstrapFixture.leftovers(nonce: far.first.nonce, home: fixture.home).isEmpty)
                if policy == .disk {
                    #expect(fixture.scratch.contents.filter { $0.hasPrefix("home/.cache/martlet/") }.count == 1)
                    try FileManager.default.removeItem(atPath: fixture.cache)
                } else {
                    #expect(fixture.scratch.contents == ["bin", "bin/sh", "home"])
                    #expect(outcome.facts["exe"]?.hasSuffix("(deleted)") == true)
                }
            }
        }
    }

    @Test("brings a dynamic image up with its libraries and sends those only once", arguments: shells)
    func dynamic(name: String) throws {
        try BootstrapFixture(agent: FakeAgent.withLibrary).with { fixture in
            try fixture.useAsSh(name)
            let cold = try fixture.farSide(.disk).run()
            #expect(cold.isLinked && cold.missing == [[0, 1]], "\(cold)")
            let warm = try fixture.farSide(.disk).run()
            #expect(warm.isLinked && warm.sent.isEmpty, "\(warm)")
            let other = try BootstrapFixture(agent: Result { try fixture.agent.renamed("bbbb") })
            defer { other.scratch.remove() }
            var far = try fixture.farSide(.disk)
            far.agent = other.agent
            far.first = try other.first(.disk)
            far.roundTrip = .seconds(1)
            let second = try far.run()
            #expect(second.isLinked && second.missing == [[0]] && second.sent == [.zstd], "\(second)")
            for policy in [ImagePolicy.memory, .nothing] {
                let far = try fixture.farSide(policy)
                let outcome = try far.run()
                #expect(outcome.isLinked && outcome.facts["env:MARTLET_REMOVE"] != "", "\(outcome)")
                #expect(BootstrapFixture.leftovers(nonce: far.first.nonce, home: fixture.home).isEmpty)
            }
        }
    }

    @Test("serves two cold connects at once", arguments: [FakeAgent.plain, FakeAgent.withLibrary])
    func concurrent(agent: Result<FakeAgent, any Error>) async throws {
        let fixture = try BootstrapFixture(agent: agent)
        defer { fixture.scratch.remove() }
        let linked = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<2 {
                let far = try fixture.farSide(.disk)
                group.addTask {
                    let outcome = try far.run()
                    if !outcome.isLinked { print(outcome) }
                    return outcome.isLinked
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(linked == [true, true])
        #expect(try fixture.farSide(.disk).run().sent.isEmpty)
        #expect(!fixture.scratch.contents.contains { $0.contains("/.martlet-") })
    }

    @Test("names the machine in a cache for several kinds")
    func machines() throws {
        try BootstrapFixture().with { fixture in
            for sent in [1, 0] {
                var far = try fixture.farSide(.disk)
                far.first = try fixture.first(.disk, namesMachine: true, nonce: .random())
                #expect(try far.run().sent.count == sent)
            }
            #expect(fixture.scratch.contents.contains { $0.contains(fixture.agent.image.id + "-") })
        }
    }

    @Test("keeps four images, and nothing that is not an image is touched")
    func pruning() throws {
        try BootstrapFixture().with { fixture in
            try FileManager.default.createDirectory(atPath: fixture.cache, withIntermediateDirectories: true)
            let idLength = fixture.agent.image.id.utf8.count
            let old = (0..<8).map { String(repeating: "\($0)", count: idLength) }
            for (age, name) in (old + ["notes", "abc", "lib-0123"]).enumerated() {
                try name.write(toFile: fixture.cache + "/" + name, atomically: true, encoding: .utf8)
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSince1970: 1e9 - Double(age))],
                    ofItemAtPath: fixture.cache + "/" + name)
            }
            #expect(try fixture.farSide(.disk).run().isLinked)
            let kept = try FileManager.default.contentsOfDirectory(atPath: fixture.cache)
            #expect(Set(kept) == Set(old[..<3] + ["notes", "abc", "lib-0123", fixture.agent.image.id]))
            let mode = try FileManager.default.attributesOfItem(atPath: fixture.cache)[.posixPermissions] as? Int
            #expect(mode == 0o700)
        }
    }

    @Test("ends without a trace when the input ends midway", arguments: shells, ImagePolicy.allCases)
    func truncated(name: String, policy: ImagePolicy) throws {
        try BootstrapFixture().with { fixture in
            try fixture.useAsSh(name)
            for encoding in [PartEncoding.raw, .gzip] {
                var far = try fixture.farSide(policy)
                far.roundTrip = .seconds(1)
                far.encodings = [encoding]
                far.cutAfter = 100_000
                let outcome = try far.run()
                #expect(outcome.failure != nil && outcome.status == SecondStage.inputEndedStatus, "\(outcome)")
                #expect(outcome.again.first?.reason == "damaged")
                #expect(BootstrapFixture.leftovers(nonce: far.first.nonce, home: fixture.home).isEmpty)
                #expect(!fixture.scratch.contents.contains { $0.hasPrefix("home/.cache/martlet/") })
            }
        }
    }

    static let hasBusybox = BootstrapFixture.find("busybox") != nil

    @Test("works where there is nothing but busybox", .enabled(if: hasBusybox, "needs busybox"))
    func busyboxOnly() throws {
        try BootstrapFixture().with { fixture in
            for policy in ImagePolicy.allCases {
                for encoding in [PartEncoding.raw, .gzip] {
                    var far = try fixture.farSide(policy)
                    try fixture.useBusyboxOnly(&far)
                    far.roundTrip = .seconds(1)
                    far.encodings = [encoding]
                    let outcome = try far.run()
                    #expect(outcome.isLinked && outcome.sent == [encoding], "\(outcome)")
                    try? FileManager.default.removeItem(atPath: fixture.cache)
                }
            }
        }
    }
}
