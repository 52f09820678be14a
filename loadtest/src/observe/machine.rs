//! Facts of this machine, and how busy it is: what makes two figures comparable, or not.

use latchkey_relay_floor::cores;

use crate::measure::line::Machine;

/// Returns what this machine is; empty texts and zeros where the kernel does not say.
#[must_use]
pub fn machine() -> Machine {
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    Machine {
        cores: cores::allowed().len() as u64,
        processor: processor_of(&read("/proc/cpuinfo")).to_owned(),
        kernel,
        memory_mb: memory_mb_of(&read("/proc/meminfo")),
    }
}

/// Returns the load average of the last minute; 0 where the kernel does not say.
#[must_use]
pub fn load_average() -> f64 {
    read("/proc/loadavg").split_whitespace().next().and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

/// Returns the share of the last ten seconds in which some task waited for a processor, percent; none where the kernel
/// does not count it.
#[must_use]
pub fn cpu_pressure() -> Option<f64> {
    pressure_of(&read("/proc/pressure/cpu"))
}

fn processor_of(cpuinfo: &str) -> &str {
    let named = |wanted: &str| {
        let mut fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim())
    };
    // Arm names the part by numbers only, in other fields.
    named("model name").or_else(|| named("Model")).or_else(|| named("CPU part")).unwrap_or_default()
}

fn memory_mb_of(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}

fn pressure_of(text: &str) -> Option<f64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_whitespace().find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_texts_are_read() {
        let cpuinfo =
            "processor\t: 0\nmodel name\t: A Processor @ 2.50GHz\nprocessor\t: 1\nmodel name\t: Another\n";
        assert_eq!(processor_of(cpuinfo), "A Processor @ 2.50GHz");
        assert_eq!(processor_of("processor\t: 0\nCPU part\t: 0xd0c\n"), "0xd0c");
        assert_eq!(processor_of(""), "");
        assert_eq!(memory_mb_of("MemTotal:       16384000 kB\nMemFree: 5 kB\n"), 16_000);
        let pressure =
            "some avg10=12.34 avg60=1.48 avg300=1.85 total=7796871197\nfull avg10=0.00 avg60=0.00 total=0\n";
        assert_eq!(pressure_of(pressure), Some(12.34));
        assert_eq!(pressure_of(""), None);
    }

    #[test]
    fn this_machine_says_what_it_is() {
        let machine = machine();
        assert!(machine.cores >= 1 && machine.memory_mb > 0 && !machine.kernel.is_empty(), "{machine:?}");
        assert!(load_average() >= 0.0);
    }
}
