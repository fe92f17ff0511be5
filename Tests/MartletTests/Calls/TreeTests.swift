import Glibc
import MartletTestKit
import MartletTestSupport
import MartletWire
import Testing

@testable import Martlet

/// What a task sees of its place.
struct WhoAmI: RemoteTask {
    struct Answer: Codable, Sendable, Equatable {
        var context: ContextAddress
        var caller: ContextAddress
        var parent: ContextAddress?
        var isAgent: Bool
        var route: Route
        var processID = getpid()
    }

    func run(in context: RemoteContext) async throws -> Answer {
        Answer(
            context: context.contextID,
            caller: context.callerID,
            parent: context.parentID,
            isAgent: context.isAgent,
            route: context.route
        )
    }
}

/// Connects a context below the one it runs in, and asks it.
struct AskBelow: RemoteTask {
    func run(in context: RemoteContext) async throws -> WhoAmI.Answer {
        let below = try await context.connect(.local)
        let answer = try await below.call(WhoAmI())
        await below.close()
        return answer
    }
}

/// Opens a stream of a kind to an address, as a context that has turned bad might.
struct OpenStream: RemoteTask {
    var kind: UInt8
    var target: ContextAddress

    func run(in context: RemoteContext) async throws -> String {
        let node = context.scope.node!
        let queue = InboundQueue(node)
        guard let kind = StreamKind(rawValue: kind) else { return "no such kind" }
        guard node.open(to: target, kind, owner: queue, payload: [], flags: .last) != nil else { return "no link" }
        do {
            _ = try await queue.next()
            return "answered"
        } catch {
            return "\(error.reason.code)"
        }
    }
}

@Suite(.leakChecked) struct TreeTests {
    @Test func `Contexts know their place at every depth`() async throws {
        try await withLocalContext { martlet, first in
            // So that a context's number is not that of its depth, nor that of its parent.
            let sibling = try await martlet.connect(.local)
            let second = try await sibling.connect(.local)
            let spare = try await second.connect(.local)
            await spare.close()
            let third = try await second.connect(.local)
            let places = [(first, "/1", "/"), (sibling, "/2", "/"), (second, "/2/1", "/2"), (third, "/2/1/2", "/2/1")]
            var processes: Set<Int32> = [getpid()]
            for (context, address, parent) in places {
                let answer = try await context.call(WhoAmI())
                #expect("\(answer.context)" == address)
                #expect(answer.parent.map { "\($0)" } == parent)
                #expect(context.address == answer.context)
                #expect(answer.caller == .root)
                #expect(answer.isAgent)
                #expect(answer.route.steps == Array(repeating: "local", count: address.count / 2))
                #expect(context.route == answer.route)
                // Each says so from a process of its own.
                #expect(answer.processID == context.processID)
                #expect(processes.insert(answer.processID).inserted)
                // Called from one level above, a task sees that caller.
                let below = try await context.call(AskBelow())
                #expect(below.caller == context.address && below.parent == context.address)
                #expect(below.context.parent == context.address && below.isAgent)
            }
            // And this process is none.
            #expect(martlet.runtime.node.address == .root && !martlet.runtime.configuration.hasParent)
            #expect(third.address.parent == second.address)
            #expect(try await third.call(Echo(value: Everything())) == Everything())
            let bytes = [UInt8](repeating: 3, count: 5 << 20)
            #expect(try await third.call(Echo(value: bytes)) == bytes)
            #expect(try await third.run("echo deep").lines == ["deep"])
            _ = try await third.ping()
        }
    }

    @Test func `A task may have contexts of its own`() async throws {
        try await withLocalContext { _, context in
            let answer = try await context.call(AskBelow())
            #expect(answer.context.parent == context.address)
            #expect(answer.caller == context.address)
            #expect(answer.route.steps == ["local", "local"])
        }
    }

    @Test func `What has no address is answered at once`() async throws {
        try await withLocalContext { _, context in
            let below = try await context.connect(.local)
            for address in [context.address.child(99)!, below.address.child(1)!, ContextAddress.root.child(77)!] {
                let nobody = Context(
                    address: address,
                    route: Route(steps: ["nobody"]),
                    facts: context.facts,
                    timings: context.timings,
                    runtime: context.runtime
                )
                try await expectError(.contextLost) { try await nobody.call(Nothing(), deadline: .seconds(10)) }
            }
        }
    }

    @Test func `A context may ask neither its sibling nor its parent for anything`() async throws {
        try await withLocalContext { martlet, context in
            let sibling = try await martlet.connect(.local)
            let below = try await context.connect(.local)
            for kind in [StreamKind.call, .command, .connect, .disconnect] {
                for target in [sibling.address, context.address, .root] {
                    let answer = try await below.call(
                        OpenStream(kind: kind.rawValue, target: target), deadline: .seconds(10))
                    #expect(answer == "refused", "\(kind) to \(target)")
                }
            }
            let aside = try await context.call(OpenStream(kind: StreamKind.echo.rawValue, target: sibling.address))
            #expect(aside == "refused")
            let up = try await below.call(OpenStream(kind: StreamKind.echo.rawValue, target: .root))
            #expect(up == "answered")
            #expect(try await sibling.call(Add(a: 1, b: 1)) == 2)
        }
    }

    @Test func `Siblings end apart`() async throws {
        try await withLocalContext { martlet, first in
            let second = try await martlet.connect(.local)
            await first.close()
            #expect(try await second.call(Add(a: 1, b: 1)) == 2)
            try await martlet.withContext(.local) { third async throws in
                #expect(try await third.call(Add(a: 2, b: 1)) == 3)
            }
            #expect(ProcessTable.entry(of: first.processID) == nil)
        }
    }

    @Test func `Closing a context from above ends all below it`() async throws {
        try await withLocalContext { _, context in
            let below = try await context.connect(.local)
            let bottom = try await below.connect(.local)
            await below.close()
            for gone in [below, bottom] {
                #expect(ProcessTable.entry(of: gone.processID) == nil)
                try await expectError(.contextLost) { try await gone.call(Nothing(), deadline: .seconds(10)) }
            }
            #expect(try await context.call(Add(a: 1, b: 1)) == 2)
        }
    }

    @Test func `The names of contexts that are gone are kept for a while only`() async throws {
        try await withLocalContext { martlet, context in
            let runtime = martlet.runtime
            let below = try await context.connect(.local)
            let before = runtime.routeCount
            await below.close()
            await context.close()
            #expect(runtime.route(to: below.address) == below.route)
            for number in 1...UInt32(ContextRuntime.keptRoutes * 2) {
                let address = try #require(context.address.child(number + 1_000))
                runtime.note(context.route.appending("host-\(number)"), of: address)
                runtime.retireRoutes(below: address)
            }
            #expect(runtime.routeCount <= before + ContextRuntime.keptRoutes)
            #expect(runtime.route(to: below.address) != below.route)
        }
    }
}
