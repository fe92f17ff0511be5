import MartletLink
import MartletWire
import Testing

@Suite struct NetworkSimulationTests {
    /// Growth beyond the initial windows that each context may spend.
    static let limits: StreamLimits = {
        var limits = StreamLimits()
        limits.receiveBudget = 4 * StreamState.initialWindow
        return limits
    }()

    /// A network whose contexts call each other for a while; links are cut if wanted.
    static func run(count: Int, seed: UInt64, streams: Int, cuts: Int) -> SimulatedNetwork {
        var network = SimulatedNetwork(count: count, seed: seed, limits: limits)
        let steps = streams * 24
        for step in 0..<steps {
            if step % 24 == 0 {
                let (above, below) = network.randomPair()
                let isBulk = Bool.random(using: &network.random)
                switch Int.random(in: 0..<10, using: &network.random) {
                case 0..<5:
                    network.open(.call, from: above, to: below, frames: 0, isCall: true, isBulk: false)
                case 5..<8:
                    let frames = Int.random(in: 0...20, using: &network.random)
                    network.open(.command, from: above, to: below, frames: frames, isCall: false, isBulk: isBulk)
                case 8:
                    network.open(.echo, from: below, to: above, frames: 0, isCall: true, isBulk: false)
                default:
                    network.open(.output, from: below, to: 0, frames: 6, isCall: false, isBulk: isBulk)
                }
            }
            switch Int.random(in: 0..<40, using: &network.random) {
            case 0..<26: network.deliver()
            case 26..<38: network.work()
            case 38: if step % 4 == 0 { network.giveUp() }
            default: network.noticeLoss()
            }
            if cuts > 0, step % (steps / cuts) == steps / cuts / 2 { network.cutLink() }
        }
        network.drain()
        return network
    }

    static func check(_ network: SimulatedNetwork) {
        #expect(network.errors.first == nil)
        // Nobody waits for ever, and nobody is told twice.
        #expect(network.ends.allSatisfy { $0.outcomes == 1 })
        // Nothing is left anywhere.
        #expect(network.contexts.allSatisfy { $0.node.streams.count == 0 && $0.node.relayedStreams == 0 })
        // No relay ever held more of one stream than the widest window that the budget allows.
        #expect(network.longestQueue <= 4 * StreamState.initialWindow)
        // And the run was worth its name.
        #expect(network.forwarded > 0 && network.endOutcomes > 50 && network.resetOutcomes > 10)
        #expect(network.longestQueue > StreamState.initialWindow / 4)
    }

    @Test func `A thousand contexts lose links and streams, and everybody is told once`() {
        Self.check(Self.run(count: 1_000, seed: 1, streams: 4_000, cuts: 30))
    }

    @Test(arguments: 0..<24 as Range<UInt64>) func `So do small networks, in many ways`(seed: UInt64) {
        Self.check(Self.run(count: 12, seed: 100 + seed, streams: 120, cuts: seed % 3 == 0 ? 0 : 3))
    }
}
