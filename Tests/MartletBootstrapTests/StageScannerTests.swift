import Testing

@testable import Martlet

@Suite("The stage scanner")
struct StageScannerTests {
    let nonce = BootstrapNonce("0123456789abcdef")!
    var hello: [UInt8] { [0] + Array("MARTLET".utf8) + [0] + Array("0123456789abcdef".utf8) }

    @Test("finds reports and the hello among noise, however the bytes are cut", arguments: [1, 2, 3, 7, 64, 10_000])
    func cuts(size: Int) {
        let text =
            "Welcome MARTLET-012\nMARTLET-0123456789abcdef nonsense\nPassword: "
            + "MARTLET-0123456789abcdef alive\r\nbye"
        let input = Array(text.utf8) + [0] + Array("MARTLET".utf8) + [0, 0] + hello.dropFirst() + [1, 2, 3]
        let whole = Array(text.utf8) + [0] + Array("MARTLET".utf8) + [0] + hello + [1, 2, 3]
        for bytes in [input, whole] {
            var scanner = StageScanner(nonce: nonce)
            var events: [StageScanner.Event] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let isLinked = if case .hello = events.last { true } else { false }
                if isLinked { break }
                events += scanner.receive(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
            #expect(events.count == 2 && events[0] == .report(.alive))
            guard case .hello(let remaining)? = events.last else { continue }
            #expect(remaining + rest == [1, 2, 3])
            let noise = String(decoding: scanner.noise, as: UTF8.self)
            #expect(noise.hasPrefix("Welcome MARTLET-012\nMARTLET-0123456789abcdef nonsense\nPassword: bye"))
        }
    }

    @Test("keeps the last 16 KiB of noise and no more, whatever comes")
    func bounded() {
        var scanner = StageScanner(nonce: nonce)
        let endless = Array("MARTLET-0123456789abcdef ".utf8) + [UInt8](repeating: 0x61, count: 5000)
        var all: [UInt8] = []
        for round in 0..<200 {
            let bytes = endless + [0, UInt8(round), 0x4D]
            all += bytes
            #expect(scanner.receive(bytes).isEmpty)
            #expect(scanner.noise.count <= StageScanner.noiseLimit)
        }
        #expect(scanner.noise == Array(all.suffix(StageScanner.noiseLimit)))
    }
}
