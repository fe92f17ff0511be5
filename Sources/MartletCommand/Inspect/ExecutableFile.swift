/// What can be told of an executable without running it.
struct ExecutableFile: Sendable {
    var byteCount: Int
    /// As `uname -m` calls it.
    var machine: String
    /// It needs no library of the machine that it runs on.
    var isStatic: Bool

    /// - Throws: ``CommandFailure`` if it cannot be read or is no executable of Linux.
    init(path: String) throws(CommandFailure) {
        let bytes = try SystemCalls.readFile(path, limit: 1 << 30)
        guard bytes.count >= 64, bytes[0..<4].elementsEqual([0x7f, 0x45, 0x4c, 0x46]), bytes[5] == 1 else {
            throw CommandFailure("\(path) is not an executable of Linux")
        }
        func number(_ offset: Int, _ width: Int) -> Int {
            guard offset >= 0, offset + width <= bytes.count else { return 0 }
            return (0..<width).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
        }
        byteCount = bytes.count
        switch number(18, 2) {
        case 62: machine = "x86_64"
        case 183: machine = "aarch64"
        case 40: machine = "arm"
        case 243: machine = "riscv64"
        case let other: machine = "machine \(other)"
        }
        guard bytes[4] == 2 else {
            isStatic = false
            return
        }
        // A program header of the interpreter names the dynamic loader.
        let (start, size, count) = (number(32, 6), number(54, 2), number(56, 2))
        isStatic = !(0..<count).contains { number(start + $0 * size, 4) == 3 }
    }
}
