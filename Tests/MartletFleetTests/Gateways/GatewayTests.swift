import Glibc
import Martlet
import MartletPython
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import MartletFleet

/// Groups whose members are behind gateways: local contexts, so that many are cheap.
@Suite(.leakChecked) struct GatewayTests {
    @Test func `Members are spread evenly over gateways that each are connected once, and close with the last group`()
        async throws
    {
        try await withGroup(12, behind: try localGateways(3)) { group async throws in
            #expect(group.gateways().allSatisfy { $0.native.current == nil })
            let results = try await group.call(ProcessID())
            #expect(Set(try results.get()).count == 12)
            let contexts = try await group.connect().get()
            #expect(contexts.allSatisfy { $0.depth == 2 })
            #expect(Dictionary(grouping: contexts, by: \.firstChild).values.map(\.count) == [4, 4, 4])
            // Groups that are made of this one share the gateways, and leave them to it.
            let half = group.filter { Int($0.name.dropFirst(3))! <= 6 }
            let ids = group.gateways().map(\.processID)
            await half.close()
            #expect(group.connected.count == 6)
            #expect(try await group.call(Nothing()).allSucceeded)
            #expect(group.gateways().map(\.processID) == ids)
            await group.close()
            #expect(group.gateways().allSatisfy { $0.native.current == nil && $0.uses.withLock { $0 } == 0 })
            for id in ids { await eventually { ProcessTable.entry(of: id!) == nil } }
            // It can be used once more.
            #expect(try await group.call(Add(a: 1, b: 1)).get().count == 12)
        }
    }

    @Test func `Gateways may be behind gateways, specs and Pythons behind them`() async throws {
        let outer = try localGateways(1)
        let inner = try [MemberSpec("local?nice=3", name: "inner")].map { spec in
            var spec = spec
            spec.gateways = outer
            return spec
        }
        try await withMartlet(OutputLog().options) { martlet async throws in
            var options = GroupOptions()
            options.gateways = inner
            var direct = try MemberSpec("local", name: "direct")
            direct.gateways = []
            let group = try martlet.group(
                [try MemberSpec("local/local", name: "deep"), try MemberSpec("local"), direct], options: options)
            try await group.closing { group async throws in
                #expect(try await group.call(HasNice(level: 3)).get() == [true, true, false])
                let contexts = try await group.connect().get()
                #expect(contexts.map(\.depth) == [4, 3, 1])
                #expect(contexts[0].route.steps == ["local", "local", "local", "local"])
                let python = try await group.python().call("os.getppid", returning: Int32.self).get()
                #expect(python[1] == group.gateway(1).processID && python[2] == getpid())
                #expect(group.gateway(1) === group.gateway(0))
                #expect(group.gateway(0).uses.withLock { $0 } == 4)
            }
            #expect(try await martlet.group(["local"], options: options).withoutStrategy.call(Nothing()).allSucceeded)
        }
    }

    @Test func `Code of the caller's can be behind gateways too`() async throws {
        try await withMartlet(OutputLog().options) { martlet async throws in
            let gateways = try localGateways(2)
            let members = (1...4).map { number in
                MemberSpec(name: "own\(number)", behind: number == 4 ? [] : gateways) { gateway, _ in
                    guard let gateway else { return try await martlet.connect(.local) }
                    return try await gateway.connect(.local)
                }
            }
            let group = try martlet.group(members)
            try await group.closing { group async throws in
                #expect(try await group.connect().get().map(\.depth) == [2, 2, 2, 1])
                kill(group.gateway(0).processID!, SIGKILL)
                await eventually { try await group.call(Nothing()).allSucceeded }
                #expect(try await group.connect().get().map(\.depth) == [2, 2, 2, 1])
            }
        }
    }

    @Test func `What cannot be is refused before anything is started`() async throws {
        try await withMartlet(OutputLog().options) { martlet async throws in
            var (a, b) = (try MemberSpec("local", name: "a"), try MemberSpec("local", name: "b"))
            b.gateways = [a]
            a.gateways = [b]
            var member = try MemberSpec("local", name: "web1")
            member.gateways = [a]
            let circle = try await expectError(.misuse) { try martlet.group([member]) }
            #expect(circle.message == "a gateway cannot be before itself: web1 via a via b via a")
            member.gateways = [try MemberSpec("local", name: "a"), try MemberSpec("local?nice=1/local", name: "a")]
            // Of one name only the first is taken in one list, but two lists must mean the same.
            var other = try MemberSpec("local", name: "web2")
            other.gateways = [try MemberSpec("local/local", name: "a")]
            let twice = try await expectError(.misuse) { try martlet.group([member, other]) }
            #expect(twice.message.contains("two gateways are called a"))
            var own = MemberSpec(name: "own") { _ in try await martlet.connect(.local) }
            own.gateways = [b]
            let error = try await expectError(.misuse) { try martlet.group([own]) }
            #expect(error.message.contains("its own code connects it"))
        }
    }

    @Test func `Who cannot be reached through one gateway is reached through another`() async throws {
        let dead = try MemberSpec("local?dir=/nowhere/at/all", name: "dead")
        try await withGroup(8, behind: [dead] + (try localGateways(2))) { group async throws in
            let results = try await group.call { Echo(value: $0.name) }
            #expect(results.map(\.value) == group.map(\.name), "\(results.map(\.outcome))")
            #expect(results.allSatisfy { $0.attempts == 1 })
            let links = try await group.connect().get().map(\.firstChild)
            #expect(Dictionary(grouping: links) { $0 }.values.map(\.count) == [4, 4])
        }
    }

    @Test func `Where no gateway lives the error says what was wrong with each`() async throws {
        let gateways = try ["one", "two"].map { (name: String) in
            try MemberSpec("local?dir=/nowhere/\(name)", name: name)
        }
        try await withGroup(4, behind: gateways) { group async throws in
            let results = try await group.call(Nothing())
            #expect(results.map(\.outcome.kind) == Array(repeating: .unreachable, count: 4))
            let error = try #require(results[0].error as? MartletError)
            #expect(error.code == .unreachable && error.message.contains("behind one of 2 gateways"), "\(error)")
            #expect(error.detail?.contains("one: ") == true)
            #expect(error.detail?.contains("/nowhere/two") == true)
            // One that wants it later has all tried again.
            #expect(try await group.call(Nothing()).unreached.count == 4)
        }
    }

    @Test func `A gateway that is killed loses what was under way; the next finds other ways, and nothing runs twice`()
        async throws
    {
        try await TestFolder.with { folder async throws in
            try await withGroup(9, behind: try localGateways(3)) { group async throws in
                #expect(try await group.connect().allSucceeded)
                let victim = group.gateway(0)
                let behind = group.indices.filter { group.gateway($0) === victim }
                let call = Task {
                    try await group.call { Meet(leave: folder.file("begun-\($0.name)"), wait: folder.file("go")) }
                }
                await eventually { folder.count("begun-") == 9 }
                kill(victim.processID!, SIGKILL)
                await eventually { victim.native.current == nil }
                folder.touch("go")
                let results = try await call.value
                for place in group.indices {
                    #expect(
                        results[place].outcome.kind == (behind.contains(place) ? .unreachable : .ok),
                        "\(results[place])")
                    #expect(results[place].attempts == 1)
                }
                // They are behind the others now.
                let again = try await group.call { Tally(path: folder.file("tally-\($0.name)")) }
                #expect(again.allSucceeded, "\(again.map(\.outcome))")
                for member in group { #expect(folder.text("tally-\(member.name)") == "x") }
                let links = try await group.connect().get().map(\.firstChild)
                #expect(Set(links).count == 2)
                #expect(Dictionary(grouping: links) { $0 }.values.allSatisfy { (4...5).contains($0.count) })
            }
        }
    }

    @Test func `A gateway that is lost while members connect: they are moved, and done`() async throws {
        try await TestFolder.with { folder async throws in
            try await withMartlet(OutputLog().options) { martlet async throws in
                var options = GroupOptions()
                options.gateways = try localGateways(2)
                let group = try martlet.group(
                    (1...6).map { MemberSpec(WaitingConnector(folder: folder), name: "web\($0)") },
                    options: options)
                try await group.closing { group async throws in
                    let call = Task { try await group.call { Tally(path: folder.file("tally-\($0.name)")) } }
                    await eventually { folder.count("begun-") == 6 }
                    let victim = group.gateway(0)
                    kill(victim.processID!, SIGKILL)
                    await eventually { folder.count("begun-") == 9 }
                    folder.touch("go")
                    let results = try await call.value
                    #expect(results.allSucceeded, "\(results.map(\.outcome))")
                    for member in group { #expect(folder.text("tally-\(member.name)") == "x") }
                    #expect(Set(group.indices.map { ObjectIdentifier(group.gateway($0)) }).count == 1)
                }
            }
        }
    }

    @Test func `A gateway that is stopped holds up only those behind it, until it counts as lost`() async throws {
        var options = OutputLog().options
        options.heartbeatLimit = .seconds(3)
        try await withGroup(8, behind: try localGateways(4), options) { group async throws in
            #expect(try await group.connect().allSucceeded)
            let victim = group.gateway(0)
            let process = victim.processID!
            kill(process, SIGSTOP)
            defer { kill(process, SIGKILL) }
            let order = Mutex<[GroupMember]>([])
            let results = try await group.each(onResult: { result in order.withLock { $0.append(result.member) } }) {
                context, _ in try await context.call(Nothing())
            }
            for place in group.indices {
                let isBehind = place == 0 || group.gateway(place) === victim
                #expect(results[place].outcome.kind == (isBehind ? .unreachable : .ok), "\(results[place])")
                if !isBehind { #expect(order.withLock { $0.prefix(6) }.contains(group[place])) }
            }
            #expect(results.unreached.count == 2)
            #expect(try await results.failed.call(Nothing()).allSucceeded)
        }
    }

    @Test func `A gateway that comes back is used again`() async throws {
        try await withMartlet(OutputLog().options) { martlet async throws in
            let isUp = Locked(false)
            let tries = Locked(0)
            let shy = MemberSpec(name: "shy") { _ in
                tries.withLock { $0 += 1 }
                guard isUp.value else { throw MartletError(.unreachable, "not yet") }
                return try await martlet.connect(.local)
            }
            let group = try martlet.group(6, behind: [shy] + (try localGateways(1)))
            try await group.closing { group async throws in
                #expect(try await group.connect().allSucceeded)
                #expect(tries.value == 1)
                isUp.withLock { $0 = true }
                // Not before its pause is over: but soon behind that.
                await eventually {
                    try await group.reconnect().get()
                    return Set(group.indices.map { ObjectIdentifier(group.gateway($0)) }).count == 2
                }
                #expect(tries.value == 2)
            }
        }
    }

    @Test func `A gateway behind another one that is lost is noticed before the next call`() async throws {
        let outer = try localGateways(1)
        let inner = try (1...2).map { number in
            var gateway = try MemberSpec("local", name: "inner\(number)")
            gateway.gateways = outer
            return gateway
        }
        try await withGroup(6, behind: inner) { group async throws in
            #expect(try await group.connect().allSucceeded)
            let victim = group.gateway(0)
            let process = victim.processID!
            kill(process, SIGKILL)
            await eventually { ProcessTable.entry(of: process) == nil }
            // What was used a moment ago is taken at its word; after a second it is asked.
            await eventually { try await group.call(Nothing()).allSucceeded }
            #expect(Set(group.indices.map { ObjectIdentifier(group.gateway($0)) }).count == 1)
            // The outer one takes all with it, and all come back.
            let first = group.gateway(0).gateways!.set.gateways[0]
            kill(first.processID!, SIGKILL)
            await eventually { first.native.current == nil }
            #expect(try await group.call(Nothing()).allSucceeded)
        }
    }
}

/// A way in that waits, on the machine where it begins, until the test lets it.
struct WaitingConnector: Connector {
    var folder: TestFolder
    var label: String { "waiting" }

    func launch(_ bootstrap: Bootstrap) throws -> Launch {
        folder.touch("begun-\(UInt64.random(in: 0 ... .max))")
        Signpost.block(until: folder.file("go"))
        return .image(LocalOptions())
    }
}
