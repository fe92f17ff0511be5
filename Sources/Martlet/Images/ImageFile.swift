import CMartlet
import MartletReactor

/// One file of an image: an executable or a library, as it is sent.
struct ImageFile: Sendable {
    var path: String
    /// What the far side calls it.
    var name: String
    var hash: String
    /// What is sent: without symbols and debug information.
    var byteCount: Int
    var machine: String
    var isDynamic: Bool
    var needed: [String]
    var runPath: [String]

    /// What was read of it is of this one.
    private var version: OpenFile.Version

    /// - Throws: ``MartletError`` `imageUnusable` that says what is wrong with the file.
    init(path: String, name: String) throws(MartletError) {
        self.path = path
        self.name = name
        let elf: ELFFile?
        var hash = ""
        do throws(SystemError) {
            let file = try OpenFile(path)
            version = try file.version()
            elf = try ELFFile(file, byteCount: version.byteCount)
            if let elf { hash = try Self.hash(file, elf) }
        } catch {
            throw MartletError(.imageUnusable, "\(error)")
        }
        guard let elf else { throw MartletError(.imageUnusable, "\(path) is not a 64-bit ELF executable") }
        self.hash = hash
        byteCount = elf.loadedSize
        machine = elf.machine
        isDynamic = elf.isDynamic
        needed = elf.needed
        runPath = elf.runPath
    }

    private static func hash(_ file: OpenFile, _ elf: ELFFile) throws(SystemError) -> String {
        if let id = elf.buildID, id.count >= 16 { return id.prefix(20).hexadecimal }
        var digest = [UInt8](repeating: 0, count: 32)
        let content = try withoutSections(file, elf.loadedSize)
        martlet_sha256(content, content.count, &digest)
        return digest.prefix(20).hexadecimal
    }

    /// The bytes that are sent.
    ///
    /// - Throws: ``SystemError``; ``MartletError`` `imageUnusable` if the file is not what it was: the far side would keep
    ///   what it is now by its former name.
    func content() throws -> [UInt8] {
        let file = try OpenFile(path)
        try expectUnchanged(file)
        let bytes = try Self.withoutSections(file, byteCount)
        try expectUnchanged(file)
        return bytes
    }

    private func expectUnchanged(_ file: OpenFile) throws {
        guard try file.version() != version else { return }
        throw MartletError(
            .imageUnusable, "\(path) has changed since this program has read it", advice: "start this program again")
    }

    /// All bytes of a file.
    static func bytes(of path: String) throws -> [UInt8] {
        let file = try OpenFile(path)
        return try file.bytes(0..<file.version().byteCount)
    }

    /// What is loaded, with a header that knows of no table of sections.
    private static func withoutSections(_ file: OpenFile, _ count: Int) throws(SystemError) -> [UInt8] {
        var content = try file.bytes(0..<count)
        for index in 40..<48 { content[index] = 0 }
        for index in 60..<64 { content[index] = 0 }
        return content
    }
}

extension Sequence<UInt8> {
    var hexadecimal: String {
        map { byte in
            let text = String(byte, radix: 16)
            return byte < 16 ? "0" + text : text
        }.joined()
    }
}
