import CMartlet
import Foundation
import Martlet
import MartletReactor
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import MartletShim

@Suite(.leakChecked) struct ForwardTests {
    /// Sends bytes to a port, ends that direction, and returns what comes back.
    private func exchange(_ bytes: [UInt8], _ place: ForwardPlace) async -> [UInt8]? {
        let descriptor =
            switch place {
            case .port(let port, _): martlet_dial("127.0.0.1", port)
            case .socket(let path): martlet_socket_connect(path)
            }
        guard descriptor >= 0 else { return nil }
        let client = Client(descriptor)
        return await client.exchange(bytes)
    }

    private final class Client: Sendable {
        private let state = Mutex<(got: [UInt8], isOver: Bool)>(([], false))
        private let descriptor: Int32

        init(_ descriptor: Int32) { self.descriptor = descriptor }

        func exchange(_ bytes: [UInt8]) async -> [UInt8] {
            let sink = ByteSink(duplicateDescriptor(descriptor), reactor: .shared) { _ in
            } onEnd: { _ in
            }
            let source = ByteSource(descriptor, reactor: .shared) { [self] more in
                state.withLock { $0.got += more }
                return true
            } onEnd: { [self] in
                state.withLock { $0.isOver = true }
            }
            source.resume()
            sink.write(bytes)
            sink.finish()
            await eventually(within: .seconds(30), "the other end's end") { state.withLock { $0.isOver } }
            source.close()
            sink.close()
            return state.withLock { $0.got }
        }
    }

    @Test(arguments: Way.available)
    func `A port here leads to one there, and the other way round`(_ way: Way) async throws {
        try await withContext(way) { context in
            try await withEchoServer { port in
                let local = try await context.forwardLocal(to: .port(port)) { forwarding in
                    #expect(forwarding.port != port)
                    let bytes = pattern(3_000_000)
                    #expect(await exchange(bytes, forwarding.place) == bytes)
                    #expect(await exchange([], forwarding.place) == [])
                    await eventually("the end of the connections") { forwarding.connections == 0 }
                    return forwarding.place
                }
                #expect(await exchange([1], local) == [], "nothing listens any more")
                let remote = try await context.forwardRemote(to: .port(port, host: "127.0.0.1")) { forwarding in
                    let bytes = pattern(3_000_000)
                    #expect(await exchange(bytes, forwarding.place) == bytes)
                    return forwarding.place
                }
                await eventually("nothing listens there any more") { await exchange([1], remote) == [] }
            }
        }
    }

    @Test func `Unix sockets on either side`() async throws {
        try await withLocalContext { _, context in
            try await TestFolder.with { folder in
                let (server, door) = (folder.file("server"), folder.file("door"))
                try await withEchoServer(.socket(server)) { _ in
                    try await context.forwardLocal(.socket(door), to: .socket(server)) { _ in
                        #expect(await exchange([1, 2, 3], .socket(door)) == [1, 2, 3])
                        let mode = try FileManager.default.attributesOfItem(atPath: door)[.posixPermissions] as? Int
                        #expect(mode == 0o600)
                    }
                    #expect(!folder.has("door"))
                    try await context.forwardRemote(.socket(door), to: .socket(server)) { _ in
                        #expect(await exchange([4, 5], .socket(door)) == [4, 5])
                    }
                    await eventually("the door is gone") { !folder.has("door") }
                }
            }
        }
    }

    @Test func `Many connections at once`() async throws {
        try await withLocalContext { _, context in
            try await withEchoServer { port in
                try await context.forwardLocal(to: .port(port, host: "127.0.0.1")) { forwarding in
                    let place = forwarding.place
                    try await withThrowingTaskGroup(of: Bool.self) { group in
                        for number in 0..<60 {
                            group.addTask {
                                let bytes = pattern(10_000 + number)
                                return await exchange(bytes, place) == bytes
                            }
                        }
                        for try await isSame in group { #expect(isSame) }
                    }
                }
            }
        }
    }

    @Test func `A connection that is refused there is closed here, and told with the far side's reason`() async throws {
        try await withLocalContext { _, context in
            let told = Mutex<[Forwarding.Refusal]>([])
            let note: @Sendable (Forwarding.Refusal) -> Void = { refusal in told.withLock { $0.append(refusal) } }
            try await context.forwardLocal(to: .port(1, host: "127.0.0.1"), onRefusal: note) { forwarding in
                #expect(await exchange([1], forwarding.place) == [])
                await eventually("the reason") { told.withLock { $0.count } == 1 }
            }
            try await context.forwardLocal(to: .port(80, host: "no-such-host.invalid"), onRefusal: note) { forwarding in
                #expect(await exchange([1], forwarding.place) == [])
                await eventually("the reason") { told.withLock { $0.count } == 2 }
            }
            try await context.forwardRemote(to: .port(1, host: "127.0.0.1"), onRefusal: note) { forwarding in
                #expect(await exchange([1], forwarding.place) == [])
                await eventually("the reason") { told.withLock { $0.count } == 3 }
            }
            let reasons = told.withLock { $0 }
            #expect(
                reasons[0].description.contains("to 127.0.0.1:1: 127.0.0.1:1: Connection refused [\(context.route)]"))
            #expect(reasons[0].peer.hasPrefix("127.0.0.1:"))
            #expect(reasons[1].reason.contains("no-such-host.invalid:80: "), "\(reasons[1])")
            #expect(reasons[2].reason.contains("Connection refused"), "\(reasons[2])")
        }
    }

    @Test func `A place that is taken is an error, here and there`() async throws {
        try await withLocalContext { _, context in
            try await withEchoServer { port in
                let here = try await expectError(.fileFailed) {
                    try await context.forwardLocal(.port(port, host: "127.0.0.1"), to: .port(1)) { _ in }
                }
                #expect(here.message.contains("port \(port): Address already in use"), "\(here)")
                let there = try await expectError(.refused) {
                    try await context.forwardRemote(.port(port, host: "127.0.0.1"), to: .port(1)) { _ in }
                }
                #expect(there.message.contains("Address already in use"), "\(there)")
                #expect(there.route == context.route)
            }
        }
    }

    @Test func `A port that is taken on one of both loopback addresses is an error`() async throws {
        let probe = martlet_listen("::1", 0, 1)
        let hasBoth = probe >= 0
        if hasBoth { closeDescriptor(probe) }
        try await withLocalContext { _, context in
            for host in hasBoth ? ["127.0.0.1", "::1"] : ["127.0.0.1"] {
                try await withEchoServer(.port(0, host: host)) { port in
                    let here = try await expectError(.fileFailed) {
                        try await context.forwardLocal(.port(port), to: .port(1)) { _ in }
                    }
                    #expect(here.message.contains("port \(port): Address already in use"), "\(here)")
                    let there = try await expectError(.refused) {
                        try await context.forwardRemote(.port(port), to: .port(1)) { _ in }
                    }
                    #expect(there.message.contains("Address already in use"), "\(there)")
                }
            }
        }
    }

    @Test func `A context that is lost takes its connections along`() async throws {
        try await withLocalContext { _, context in
            try await withEchoServer { port in
                let lost = Mutex(false)
                let remote = try await context.openRemoteForwarding(.port(0), to: .port(port)) { _ in
                } onLost: { _ in
                    lost.withLock { $0 = true }
                }
                defer { remote.close() }
                try await context.forwardLocal(to: .port(port, host: "127.0.0.1")) { forwarding in
                    let descriptor = martlet_dial("127.0.0.1", forwarding.port!)
                    await eventually("the connection") { forwarding.connections == 1 }
                    kill(context.processID, SIGKILL)
                    await eventually("its end") { forwarding.connections == 0 }
                    closeDescriptor(descriptor)
                }
                await eventually("the word of it") { lost.withLock { $0 } }
            }
        }
    }

    @Test(.enabled(if: isInstalled("getent"), "needs getent"))
    func `Names are looked up there`() async throws {
        try await withLocalContext { _, context in
            try await withEchoServer { port in
                try await context.forwardLocal(to: .port(port, host: "LOCALHOST")) { forwarding in
                    #expect(await exchange([7], forwarding.place) == [7])
                }
            }
        }
    }
}
