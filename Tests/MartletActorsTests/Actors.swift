import Distributed
import Foundation
import Martlet
import MartletActors
import MartletTestKit
import MartletTestSupport

struct NoSuchPackage: Error, Codable, Equatable {
    var name: String
}

struct PlainError: Error {}

/// Does what an actor may be asked to do.
distributed actor Installer: RemoteActor {
    typealias ActorSystem = MartletActorSystem

    private let root: String
    private var installed: [String] = []

    static var errors: [any (Error & Codable).Type] { [NoSuchPackage.self] }

    init(_ root: String, actorSystem: MartletActorSystem) async throws {
        self.actorSystem = actorSystem
        self.root = root
        if root.isEmpty { throw NoSuchPackage(name: "no root") }
    }

    distributed func install(_ name: String, version: Int = 1) -> [String] {
        installed.append("\(root)/\(name)-\(version)")
        return installed
    }

    distributed func remove(_ name: String) throws {
        if name == "plain" { throw PlainError() }
        throw NoSuchPackage(name: name)
    }

    distributed func clear() { installed = [] }
    distributed var count: Int { installed.count }
    distributed func processNumber() -> Int32 { getpid() }
    distributed func same<Value: Codable & Sendable>(_ value: Value, _ other: [Value]) -> [Value] { [value] + other }
    distributed func echo(_ bytes: [UInt8]) -> [UInt8] { bytes }

    distributed func wait(_ started: String, _ cancelled: String) async throws {
        Signpost.leave(started)
        do { try await Task.sleep(for: .seconds(3600)) } catch {
            Signpost.leave(cancelled)
            throw error
        }
    }

    distributed func end() { kill(getpid(), SIGKILL) }

    /// Tells another actor, wherever it is.
    distributed func tell(_ other: Listener, _ text: String) async throws -> Int {
        try await other.hear("\(root): \(text)")
    }
    distributed func tellAnother(_ other: Installer, _ name: String) async throws -> [String] {
        try await other.install(name)
    }

    /// A reference to itself.
    distributed func itself() -> Installer { self }

    distributed func send(over channel: Channel<Listener>, _ listener: Listener) async throws {
        try await channel.send(listener)
    }

    /// Makes one below this context.
    distributed func spawnBelow(_ root: String) async throws -> Installer {
        let below = try await actorSystem.context.connect(.local)
        return try await below.spawn(Installer.self, root)
    }
}

/// Lives where its maker is.
distributed actor Listener {
    typealias ActorSystem = MartletActorSystem

    private(set) var heard: [String] = []

    distributed func hear(_ text: String) -> Int {
        heard.append(text)
        return heard.count
    }

    distributed func any<Value: Codable & Sendable>(_ value: Value) -> Value { value }

    distributed actor Inner {
        typealias ActorSystem = MartletActorSystem
        distributed func hear(_ text: String) -> Int { -1 }
    }
}

extension Listener {
    distributed func hearTwice(_ text: String) -> Int { hear(text) + hear(text) }
}

/// Is of some type.
distributed actor Box<Value: Codable & Sendable>: RemoteActor {
    typealias ActorSystem = MartletActorSystem
    private var value: Value
    init(_ value: Value, actorSystem: MartletActorSystem) {
        self.actorSystem = actorSystem
        self.value = value
    }
    distributed func swap(_ new: Value) -> Value {
        defer { value = new }
        return value
    }
}

/// Tells an actor from within a task.
struct Tell: RemoteTask {
    var listener: Listener
    var text: String
    func run(in context: RemoteContext) async throws -> Int { try await listener.hear(text) }
}

/// Asks for what only those above may ask.
struct AskGeneric: RemoteTask {
    var listener: Listener
    func run(in context: RemoteContext) async throws -> Int { try await listener.any(7) }
}

struct TellTwice: RemoteTask {
    var listener: Listener
    func run(in context: RemoteContext) async throws -> Int { try await listener.hearTwice("x") }
}

struct SwapFrom: RemoteTask {
    var box: Box<Int>
    func run(in context: RemoteContext) async throws -> Int { try await box.swap(1) }
}

struct Fill: RemoteTask {
    var installer: Installer
    var count: Int
    func run(in context: RemoteContext) async throws -> Int {
        try await installer.echo([UInt8](repeating: 1, count: count)).count
    }
}

struct EchoInstaller: RemoteTask {
    var installer: Installer
    func run(in context: RemoteContext) async throws -> Installer { installer }
}

struct FileError: Error {}
