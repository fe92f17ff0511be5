import Distributed
import MartletTestKit
import MartletWire
import Synchronization
import Testing

@testable import Martlet
@testable import MartletActors

/// Is in the controller, and was given to the bad child.
distributed actor Keeper {
    typealias ActorSystem = MartletActorSystem
    private(set) var sum = 0

    distributed func add(_ number: Int) -> Int {
        sum += number
        return sum
    }

    distributed func addAll<Number: Codable & Sendable>(_ numbers: [Number]) -> Int { numbers.count }
}

/// Was given to nobody.
distributed actor Safe {
    typealias ActorSystem = MartletActorSystem
    private let secret = "secret"
    distributed func open(_ number: Int) -> String { secret }
}

struct TakeKeeper: RemoteTask {
    var keeper: Keeper
    func run(in context: RemoteContext) async throws {}
}

/// An actor is a capability with a token that cannot be guessed, and no more than that.
@Suite(.leakChecked) struct ActorTests {
    /// Passes an actor to the bad child; returns the token that came with it.
    private static func pass(_ keeper: Keeper, _ scene: Scene) throws -> [UInt8] {
        // It ends below.
        _ = Task { [context = scene.context] in try await context.call(TakeKeeper(keeper: keeper)) }
        let call = try #require(scene.raw.opened(.call))
        let key = Array("martlet.actor".utf8)
        let place = try #require(call.payload.indices.first { call.payload[$0...].starts(with: key) })
        // A byte string of less than 256 bytes: two bytes of head, then the version.
        let token = place + key.count + 3
        scene.raw.answer(call, .end, flags: .last, [CallAnswer.success])
        return Array(call.payload[token..<token + ChannelToken.byteCount])
    }

    /// What a call looks like: the bad child is called, and sees.
    private static func request<Act: DistributedActor>(
        _ scene: Scene, of type: Act.Type, _ call: @escaping @Sendable (Act) async throws -> Void
    ) throws -> [UInt8] where Act.ActorSystem == MartletActorSystem {
        let id = MartletActorID(
            context: scene.raw.address, number: 1, typeName: MartletActorSystem.name(of: type), token: .random())
        let actor = try Act.resolve(id: id, using: scene.martlet.actorSystem)
        _ = Task { try await call(actor) }
        let frame = try #require(scene.raw.opened(.invoke))
        scene.raw.answer(frame, .end, flags: .last, [CallAnswer.success, 0])
        return Array(frame.payload.dropFirst(1 + ChannelToken.byteCount))
    }

    private static func add(_ scene: Scene) throws -> [UInt8] {
        try request(scene, of: Keeper.self) { _ = try await $0.add(5) }
    }

    /// The code of an error of ours in an answer.
    private static func failure(_ frame: RawChild.Frame?) -> MartletError.Code? {
        guard let payload = frame?.payload, payload.first == CallAnswer.failed else { return nil }
        return try? CBORDecoder().decode(MartletError.self, from: Array(payload.dropFirst())).code
    }

    @Test(arguments: Place.allCases)
    func `Who was given an actor may call it, and who guesses may not`(place: Place) async throws {
        try await withScene(place) { scene in
            let keeper = Keeper(actorSystem: scene.martlet.actorSystem)
            let token = try Self.pass(keeper, scene)
            let request = try Self.add(scene)
            for sum in [5, 10] {
                let answer = scene.raw.ask(.invoke, to: .root, token + request)
                #expect(answer?.payload == [CallAnswer.success, UInt8(sum)])
            }
            for index in token.indices {
                var guess = token
                guess[index] ^= 1
                #expect(scene.raw.ask(.invoke, to: .root, guess + request)?.reset?.code == .refused)
            }
            for guess in [[], [0], Array(token.dropLast()), [UInt8](repeating: 0, count: 16)] {
                #expect(scene.raw.ask(.invoke, to: .root, guess)?.reset?.code == .refused)
            }
            // It is of use nowhere else, nor as the token of a channel; and no channel's token is good for a call.
            for target in [scene.above, scene.sibling.address] where !target.isRoot {
                #expect(scene.raw.ask(.invoke, to: target, token + request)?.reset?.code == .refused)
            }
            #expect(scene.raw.ask(.channel, to: .root, token)?.reset?.code == .refused)
            #expect(await keeper.whenLocal { $0.sum } == 10)
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `It leads to no other actor's methods, to no types, and not on when it is gone`() async throws {
        try await withScene(.controller) { scene in
            var keeper: Keeper? = Keeper(actorSystem: scene.martlet.actorSystem)
            let safe = Safe(actorSystem: scene.martlet.actorSystem)
            let token = try Self.pass(try #require(keeper), scene)
            let open = try Self.request(scene, of: Safe.self) { _ = try await $0.open(1) }
            #expect(Self.failure(scene.raw.ask(.invoke, to: .root, token + open)) == .refused)
            let generic = try Self.request(scene, of: Keeper.self) { _ = try await $0.addAll([1]) }
            #expect(Self.failure(scene.raw.ask(.invoke, to: .root, token + generic)) == .refused)
            // The task that a call could name.
            let task = try #require(scene.raw.ask(.invoke, to: .root, token + Witness.request))
            #expect(Self.failure(task) == .refused)
            let request = try Self.add(scene)
            #expect(scene.raw.ask(.invoke, to: .root, token + request)?.payload == [CallAnswer.success, 5])
            keeper = nil
            await eventually { scene.martlet.runtime.capabilities.count == 1 }
            #expect(scene.raw.ask(.invoke, to: .root, token + request)?.reset?.code == .refused)
            withExtendedLifetime(safe) {}
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `A call that is cut or padded anywhere is an error or what it was`() async throws {
        try await withScene(.controller) { scene in
            let keeper = Keeper(actorSystem: scene.martlet.actorSystem)
            let token = try Self.pass(keeper, scene)
            let request = try Self.add(scene)
            for count in 0..<request.count {
                let answer = scene.raw.ask(.invoke, to: .root, token + request[..<count])
                #expect(answer?.payload.first != CallAnswer.success, "\(count)")
            }
            for index in request.indices {
                for value in [0, 0x7f, 0xff] as [UInt8] where request[index] != value {
                    var changed = request
                    changed[index] = value
                    // Any answer will do, if it comes.
                    #expect(scene.raw.ask(.invoke, to: .root, token + changed) != nil)
                }
            }
            scene.checkThatItLives()
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `Calls that never end take no more room than there is for them`() async throws {
        try await withScene(.controller) { scene in
            let keeper = Keeper(actorSystem: scene.martlet.actorSystem)
            let token = try Self.pass(keeper, scene)
            let request = try Self.add(scene)
            let part = [UInt8](repeating: 0, count: 60_000)
            var refused = 0
            for _ in 0..<400 {
                let stream = scene.raw.newStream()
                scene.raw.write(
                    scene.raw.open(
                        StreamKind.invoke.rawValue, to: .root, token + part, stream: stream, flags: [.more, .bulk]))
            }
            // An echo comes behind what was said before.
            let echo = scene.raw.newStream()
            scene.raw.write(scene.raw.open(StreamKind.echo.rawValue, to: .root, [1], stream: echo, flags: .last))
            _ = scene.raw.next { frame in
                if frame.reset?.code == .limitExceeded { refused += 1 }
                return frame.header.stream == echo && frame.header.kind == .end
            }
            #expect(refused == 400 - Capabilities.callLimit / part.count)
            #expect(scene.raw.ask(.invoke, to: .root, token + request + part)?.reset?.code == .limitExceeded)
            // Others have room of their own.
            #expect(try await scene.sibling.call(AskKeeper(keeper: keeper)) == 1)
            // All of it is given back.
            scene.raw.hangUp()
            let capabilities = scene.martlet.runtime.capabilities
            await eventually { capabilities.reservedCount == 0 }
            try await scene.checkThatOthersWork()
        }
    }

    @Test func `An answer that is none is an error, and names no type`() async throws {
        try await withScene(.controller) { scene in
            let id = MartletActorID(
                context: scene.raw.address, number: 1, typeName: MartletActorSystem.name(of: Keeper.self),
                token: .random())
            let keeper = try Keeper.resolve(id: id, using: scene.martlet.actorSystem)
            let thrown = CallAnswer.thrown(WitnessError(), isNamed: true)
            for (answer, code) in [
                ([], .protocolViolation), ([9], .protocolViolation), ([CallAnswer.success], .valueUnusable),
                ([CallAnswer.success, 0x61, 0x61], .valueUnusable), (thrown, .taskFailed),
            ] as [([UInt8], MartletError.Code)] {
                let call = Task { try await keeper.add(1) }
                let frame = try #require(scene.raw.opened(.invoke))
                scene.raw.answer(frame, .end, flags: .last, answer)
                let error = await #expect(throws: MartletError.self) { try await call.value }
                #expect(error?.code == code, "\(answer): \(error as Any)")
            }
            #expect(WitnessError.decoded.load(ordering: .relaxed) == 0)
            try await scene.checkThatOthersWork()
        }
    }
}

struct AskKeeper: RemoteTask {
    var keeper: Keeper
    func run(in context: RemoteContext) async throws -> Int { try await keeper.add(1) }
}

/// Nobody has named it.
struct WitnessError: Error, Codable {
    static let decoded = Atomic(0)
    init() {}
    init(from decoder: any Decoder) throws { Self.decoded.add(1, ordering: .relaxed) }
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode("x")
    }
}
