import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import MartletFleet

/// What is copied to members behind gateways.
@Suite(.leakChecked) struct RelayedFileTests {
    /// Not on a disk, if that can be.
    private var plain: TransferOptions {
        var options = TransferOptions()
        (options.isDurable, options.createsParents) = (false, true)
        return options
    }

    /// One that is stopped does not count as lost for a while.
    private var patient: MartletOptions {
        var options = OutputLog().options
        options.heartbeatLimit = .seconds(150)
        return options
    }

    @Test func `Ten gateways with twenty members each: a file crosses each of their links once`() async throws {
        let size = 1 << 20
        try await TestFolder.with { folder async throws in
            try Data(pattern(size)).write(to: URL(fileURLWithPath: folder.file("file")))
            try await withGroup(200, behind: try localGateways(10)) { group async throws in
                #expect(try await group.connect().allSucceeded)
                let before = group.bytesSent()
                let results = try await group.put(folder.file("file"), to: folder.file("{host}"), options: plain)
                let sent = group.bytesSent() - before
                #expect(results.allSucceeded, "\(results)")
                #expect(sent > 10 * size && sent < 12 * size, "\(sent) bytes for ten times \(size)")
                let content = try Data(contentsOf: URL(fileURLWithPath: folder.file("file")))
                for result in results {
                    let path = folder.file(result.member.name)
                    #expect(result.value?.path == Array(path.utf8) && result.value?.byteCount == size)
                    #expect(result.value?.checksum == results[0].value?.checksum)
                    #expect(FileManager.default.contents(atPath: path) == content)
                }
            }
        }
    }

    @Test func `Gateways behind one gateway: files, bytes and trees cross its link once`() async throws {
        let size = 600_000
        let outer = try localGateways(1)
        let inner = try (1...3).map { number in
            var gateway = try MemberSpec("local", name: "inner\(number)")
            gateway.gateways = outer
            return gateway
        }
        try await TestFolder.with { folder async throws in
            let bytes = pattern(size)
            try FileManager.default.createDirectory(atPath: folder.file("tree/sub"), withIntermediateDirectories: true)
            for name in ["tree/a", "tree/sub/b"] { try Data(bytes).write(to: URL(fileURLWithPath: folder.file(name))) }
            try await withGroup(9, behind: inner) { group async throws in
                #expect(try await group.connect().allSucceeded)
                var before = group.bytesSent()
                func sent() -> Int {
                    defer { before = group.bytesSent() }
                    return group.bytesSent() - before
                }
                let put = try await group.put(bytes: bytes, to: folder.file("bytes/{host}"), options: plain)
                let first = sent()
                #expect(put.allSucceeded && first > size && first < size * 5 / 4, "\(put), \(first)")
                #expect(FileManager.default.contents(atPath: folder.file("bytes/web9")) == Data(bytes))
                var options = SyncOptions()
                (options.isDurable, options.createsParents) = (false, true)
                let sync = try await group.sync(folder.file("tree"), to: folder.file("sync/{host}"), options: options)
                let second = sent()
                #expect(sync.allSucceeded && second > 2 * size && second < size * 5 / 2, "\(sync), \(second)")
                #expect(try sync.get().allSatisfy { $0.fileCount == 2 && $0.byteCount == 2 * size })
                let updates = Mutex<[String: [TransferProgress]]>([:])
                let tree = try await group.put(folder.file("tree"), to: folder.file("put-{host}"), options: plain) {
                    member, progress in
                    updates.withLock { $0[member.name, default: []].append(progress) }
                }
                let third = sent()
                #expect(tree.allSucceeded && third > 2 * size && third < size * 5 / 2, "\(tree), \(third)")
                #expect(FileManager.default.contents(atPath: folder.file("put-web1/sub/b")) == Data(bytes))
                for list in updates.withLock({ $0.values }) {
                    #expect(list.count { $0.isFinished } == 1 && list.last?.isFinished == true)
                    #expect(list.last?.byteCount == 2 * size)
                }
                #expect(updates.withLock { $0.count } == 9)
                // Again: nothing is missing.
                let again = try await group.sync(folder.file("tree"), to: folder.file("sync/{host}"), options: options)
                #expect(try again.get().allSatisfy { $0.fileCount == 0 })
                #expect(sent() < 100_000)
            }
        }
    }

    @Test func `One that fails, or is not reached, stops no other`() async throws {
        try await TestFolder.with { folder async throws in
            try await withMartlet(OutputLog().options) { martlet async throws in
                var options = GroupOptions()
                options.gateways = try localGateways(1)
                let members = try ["local", "local?dir=/nowhere", "local", "local"].enumerated().map {
                    try MemberSpec($1, name: "web\($0 + 1)")
                }
                let group = try martlet.group(members, options: options)
                try await group.closing { group async throws in
                    folder.touch("web3")
                    let bytes = pattern(400_000)
                    let put = try await group.put(bytes: bytes, to: folder.file("{host}/file"))
                    // Neither has a folder; one has a file in its place.
                    #expect(put.map(\.outcome.kind) == [.failed, .unreachable, .failed, .failed], "\(put)")
                    try FileManager.default.createDirectory(
                        atPath: folder.file("web1"), withIntermediateDirectories: true)
                    try FileManager.default.createDirectory(
                        atPath: folder.file("web4"), withIntermediateDirectories: true)
                    let again = try await group.put(bytes: bytes, to: folder.file("{host}/file"))
                    #expect(again.map(\.outcome.kind) == [.ok, .unreachable, .failed, .ok], "\(again)")
                    #expect((again[2].error as? MartletError)?.code == .fileFailed)
                    #expect(FileManager.default.contents(atPath: folder.file("web4/file")) == Data(bytes))
                    let missing = try await group.put(folder.file("missing"), to: "/tmp/")
                    #expect(missing.map(\.outcome.kind) == [.failed, .unreachable, .failed, .failed], "\(missing)")
                }
            }
        }
    }

    @Test func `Batches hold: the first alone, then the rest together`() async throws {
        let size = 500_000
        try await TestFolder.with { folder async throws in
            try await withGroup(8, behind: try localGateways(1)) { group async throws in
                #expect(try await group.connect().allSucceeded)
                var rolling = FleetStrategy(batches: [1, .rest])
                rolling.verify = { batch in
                    #expect(folder.count("web") == (batch.isLast ? 8 : 1))
                }
                let before = group.bytesSent()
                let results = try await group.with(rolling).put(
                    bytes: pattern(size), to: folder.file("{host}"), options: plain)
                let sent = group.bytesSent() - before
                #expect(results.allSucceeded, "\(results)")
                #expect(sent > 2 * size && sent < size * 5 / 2, "\(sent)")
            }
        }
    }

    @Test func `One that is stopped is left behind by the others, and copied to alone when it goes on`() async throws {
        let size = 3 << 20
        try await TestFolder.with { folder async throws in
            try await withGroup(5, behind: try localGateways(1), patient) { group async throws in
                let contexts = try await group.connect().get()
                let process = contexts[4].facts.processID
                kill(process, SIGSTOP)
                defer { kill(process, SIGCONT) }
                let done = Mutex<Set<String>>([])
                let put = Task {
                    try await group.put(bytes: pattern(size), to: folder.file("{host}"), options: plain)
                }
                await eventually(within: .seconds(90)) {
                    for name in ["web1", "web2", "web3", "web4"]
                    where FileManager.default.contents(atPath: folder.file(name))?.count == size {
                        done.withLock { _ = $0.insert(name) }
                    }
                    return done.withLock { $0.count } == 4
                }
                #expect(!folder.has("web5"))
                kill(process, SIGCONT)
                let results = try await put.value
                #expect(results.allSucceeded, "\(results.map(\.outcome))")
                #expect(FileManager.default.contents(atPath: folder.file("web5"))?.count == size)
            }
        }
    }

    @Test func `Nobody behind a gateway waits for those that are not behind it`() async throws {
        try await TestFolder.with { folder async throws in
            try await withMartlet(patient) { martlet in
                // How these are reached is known only when they are.
                let direct = (1...3).map { number in
                    MemberSpec(name: "direct\(number)") { _ in try await martlet.connect(.local) }
                }
                var behind = try (1...2).map { try MemberSpec("local", name: "web\($0)") }
                for number in behind.indices { behind[number].gateways = try localGateways(1) }
                try await martlet.group(direct + behind).closing { group async throws in
                    let contexts = try await group.connect().get()
                    let processes = contexts.prefix(3).map(\.facts.processID)
                    for process in processes { kill(process, SIGSTOP) }
                    defer { for process in processes { kill(process, SIGCONT) } }
                    let put = Task {
                        try await group.put(bytes: pattern(1000), to: folder.file("{host}"), options: plain)
                    }
                    await eventually { folder.has("web1") && folder.has("web2") }
                    #expect(!folder.has("direct1"))
                    for process in processes { kill(process, SIGCONT) }
                    #expect(try await put.value.allSucceeded)
                }
            }
        }
    }

    @Test func `A member that is cancelled leaves its round, and the others go on`() async throws {
        try await withMartlet(OutputLog().options) { martlet async throws in
            let context = try await martlet.connect(.local)
            let (begun, gate) = (Gate(), Gate())
            let joint = JointTransfer<Int> { targets, _, onFinish in
                begun.open()
                await gate.wait()
                for number in targets.indices { onFinish(number, .success(number)) }
            }
            let way = JointWay.link(ObjectIdentifier(context), 1)
            try await joint.serving { () async throws -> Void in
                for member in 0..<3 { joint.expect(member, on: way) }
                let deliveries = (0..<3).map { member in
                    Task { try await joint.deliver(member, on: way, SyncTarget(context, "/x"), nil) }
                }
                await begun.wait()
                deliveries[1].cancel()
                await #expect(throws: CancellationError.self) { try await deliveries[1].value }
                gate.open()
                let others = [try await deliveries[0].value, try await deliveries[2].value]
                #expect(Set(others).count == 2)
            }
        }
    }

    @Test func `When their gateway is killed all behind it are lost, and the next try goes through another`()
        async throws
    {
        try await TestFolder.with { folder async throws in
            try await withGroup(6, behind: try localGateways(2)) { group async throws in
                let contexts = try await group.connect().get()
                let victim = group.gateway(0)
                let behind = group.indices.filter { group.gateway($0) === victim }
                // What comes for one of them stays on the way until the gateway is gone.
                let process = contexts[behind[0]].facts.processID
                kill(process, SIGSTOP)
                let put = Task {
                    try await group.put(bytes: pattern(8 << 20), to: folder.file("{host}"), options: plain)
                }
                await eventually { group.indices.allSatisfy { behind.contains($0) || folder.has(group[$0].name) } }
                kill(victim.processID!, SIGKILL)
                let results = try await put.value
                kill(process, SIGKILL)
                for place in group.indices {
                    let kind: OutcomeKind = behind.contains(place) ? .unreachable : .ok
                    #expect(results[place].outcome.kind == kind, "\(results[place])")
                }
                let again = try await results.failed.put(
                    bytes: pattern(8 << 20), to: folder.file("{host}"), options: plain)
                #expect(again.count == behind.count && again.allSucceeded, "\(again.map(\.outcome))")
            }
        }
    }

    @Test func `What was begun before and broken off is no hindrance`() async throws {
        let size = 24 << 20
        try await TestFolder.with { folder async throws in
            let content = Data(pattern(size))
            try content.write(to: URL(fileURLWithPath: folder.file("file")))
            try await withGroup(3, behind: try localGateways(1)) { group async throws in
                var options = plain
                options.resumes = true
                let first = try await group.context(of: group[0])
                let (updates, report) = TransferProgress.makeStream()
                let alone = Task { [options] in
                    try await first.put(
                        folder.file("file"), to: folder.file("to/web1"), options: options, onProgress: report)
                }
                for await progress in updates where progress.byteCount > 4 << 20 { break }
                alone.cancel()
                _ = try? await alone.value
                let results = try await group.put(folder.file("file"), to: folder.file("to/{host}"), options: options)
                #expect(results.allSucceeded, "\(results.map(\.outcome))")
                for member in group {
                    #expect(FileManager.default.contents(atPath: folder.file("to/\(member.name)")) == content)
                }
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("to")).count == 3)
            }
        }
    }
}
