import MartletLink
import MartletTestKit
import MartletWire
import Testing

@testable import Martlet

/// Reads some items and gives the end on.
struct ReadSome: RemoteTask {
    struct Result: Codable, Sendable {
        var end: Channel<[UInt8]>
        var items: [Int]
    }

    var end: Channel<[UInt8]>
    var count: Int
    func run(in context: RemoteContext) async throws -> Result {
        var items: [Int] = []
        while items.count < count, let item = try await end.receive(timeout: .seconds(30)) { items.append(item.count) }
        return Result(end: end, items: items)
    }
}

@Suite(.leakChecked) struct ChannelFuzzTests {
    private static func item(_ bytes: [UInt8]) -> [UInt8] {
        withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
    }

    @Test func `What goes into a buffer comes out, and so does its credit`() throws {
        try Fuzz.run("buffers", rounds: 300) { random in
            var (first, second) = (ChannelBuffer(), ChannelBuffer())
            var (written, read): ([[UInt8]], [[UInt8]]) = ([], [])
            var (cost, freed) = (0, 0)
            func take() {
                while case .item(let item) = second.takeItem() { read.append(Array(item)) }
            }
            for _ in 0..<200 {
                switch Int.random(in: 0..<6, using: &random) {
                case 0, 1:
                    let bytes = random.bytes(0...(random.chance(10) ? 5_000 : 40))
                    written.append(bytes)
                    first.append(item: Self.item(bytes))
                case 2, 3:
                    // A frame goes over.
                    guard let front = first.first(Int.random(in: 1...700, using: &random)) else { break }
                    front.withUnsafeBytes { second.append(payload: $0) }
                    cost += StreamState.cost(ofPayload: front.count)
                    first.advance(front.count)
                    if random.chance(9) {
                        second.append(payload: UnsafeRawBufferPointer(start: nil, count: 0))
                        cost += StreamState.cost(ofPayload: 0)
                    }
                case 4: _ = second.hasItem()
                default: if random.chance(2) { take() } else { second.putBackPart() }
                }
                if let count = second.takeFreed() { freed += StreamState.cost(ofPayload: count) }
                try demand(freed <= cost, "more credit comes back than was spent")
            }
            while let front = first.first(1 << 20) {
                front.withUnsafeBytes { second.append(payload: $0) }
                cost += StreamState.cost(ofPayload: front.count)
                first.advance(front.count)
            }
            take()
            if let count = second.takeFreed() { freed += StreamState.cost(ofPayload: count) }
            try demand(read == written, "\(read.count) items of \(written.count)")
            try demand(freed == cost && first.isEmpty && second.isEmpty, "credit \(freed) of \(cost)")
        }
    }

    @Test func `An end that wanders through the tree loses nothing`() async throws {
        let first = Fuzz.seed ?? (Fuzz.seconds == nil ? 1 : .random(in: 0..<1 << 48))
        let end = ContinuousClock.now + .seconds(Int64(Fuzz.seconds ?? 0))
        var options = MartletOptions()
        options.onOutput = { _ in }
        try await withMartlet(options) { martlet in
            let a = try await martlet.connect(.local)
            let contexts = [a, try await martlet.connect(.local), try await a.connect(.local)]
            var round: UInt64 = 0
            repeat {
                if Fuzz.seconds != nil { print("fuzz: wandering ends, seed \(first + round)") }
                var random = SeededGenerator(seed: first + round)
                round += 1
                let (here, there) = martlet.makeChannel(of: [UInt8].self)
                let sizes = (0..<Int.random(in: 50...400, using: &random)).map { number in
                    random.chance(20) ? Int.random(in: 0...400_000, using: &random) : number
                }
                let writer = Task {
                    for size in sizes { try await here.send([UInt8](repeating: 1, count: size)) }
                    here.finish()
                }
                var reader = there
                var read: [Int] = []
                var moves = 0
                while read.count < sizes.count {
                    let count = Int.random(in: 0...60, using: &random)
                    if random.chance(4) || moves > 12 {
                        for _ in 0..<count {
                            guard let item = try await reader.receive(timeout: .seconds(30)) else { break }
                            read.append(item.count)
                        }
                    } else {
                        moves += 1
                        let context = contexts.randomElement(using: &random)!
                        let result = try await context.call(ReadSome(end: reader, count: count), deadline: .seconds(60))
                        reader = result.end
                        read += result.items
                        #expect(reader == there)
                    }
                }
                #expect(read == sizes, "seed \(first + round - 1)")
                #expect(try await reader.receive(timeout: .seconds(30)) == nil)
                try await writer.value
                reader.close()
            } while Fuzz.seconds == nil ? round < 8 : ContinuousClock.now < end
            await eventually("no stream is left") { martlet.runtime.node.openStreams == 0 }
        }
    }
}
